"""Files on the local disk: whole or not there, and whose they are while they are written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from facedata.errors import IntegrityError
from facedata.local_files import is_abandoned, open_whole


def write_torn(path: Path, waiting: Path) -> None:
    with open_whole(path, waiting) as stream:
        stream.write(b"1")
        raise IntegrityError("the data behind it is damaged")


def test_a_file_is_there_once_it_is_whole(tmp_path: Path) -> None:
    path, waiting = tmp_path / "a" / "b.bin", tmp_path / "tmp"
    with open_whole(path, waiting) as stream:
        stream.write(b"whole")
        (part,) = waiting.iterdir()
        assert not path.exists()
        assert not is_abandoned(part.name)

    assert path.read_bytes() == b"whole"
    assert list(waiting.iterdir()) == []


def test_a_torn_file_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "b.bin").write_bytes(b"old")
    with pytest.raises(IntegrityError):
        write_torn(tmp_path / "b.bin", tmp_path / "tmp")

    assert (tmp_path / "b.bin").read_bytes() == b"old"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_file_may_be_read_by_those_who_may_read_any_new_one(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with open_whole(tmp_path / "whole", tmp_path / "tmp"):
        pass

    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_only_the_files_of_processes_that_are_gone_are_abandoned() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass

    assert not is_abandoned(f"{os.getpid()}-x1")
    assert is_abandoned(f"{dead.pid}-x1")
    assert is_abandoned(f"{10**30}-x1")
    assert is_abandoned("notes.txt")
