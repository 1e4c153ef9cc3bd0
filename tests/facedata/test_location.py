"""Where bytes lie: ranges of files, near and far."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facedata.errors import StorageError
from facedata.location import (
    ByteRange,
    open_file,
    range_location,
    read_location,
    split_location,
)

RANGES = st.lists(
    st.builds(ByteRange, offset=st.integers(0, 2**60), length=st.integers(0, 2**40)), min_size=1
)


@given(RANGES, st.text(min_size=1))
def test_a_location_says_what_it_was_made_of(ranges: list[ByteRange], file: str) -> None:
    assert split_location(range_location(ranges, file)) == (tuple(ranges), file)


@pytest.mark.parametrize("file", ["/a/b.jpg", "range:/a", "s3://b/range:1+2:x", "/range:1+2:/x"])
def test_a_whole_file_has_no_ranges(file: str) -> None:
    assert split_location(file) == ((), file)


def test_ranges_are_joined_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "a:b#1.tar"
    path.write_bytes(b"0123456789")
    fsspec.filesystem("memory").pipe_file("/set/a.tar", b"0123456789")
    for file in (str(path), path.as_uri(), "memory://set/a.tar"):
        assert read_location(f"range:7+2,0+3,5+0:{file}") == b"78012"


@pytest.mark.parametrize("file", ["a.tar", "memory://set/b.tar"])
def test_a_range_beyond_the_end_is_an_error(tmp_path: Path, file: str) -> None:
    (tmp_path / "a.tar").write_bytes(b"0123")
    fsspec.filesystem("memory").pipe_file("/set/b.tar", b"0123")
    place = file if "://" in file else str(tmp_path / file)
    with pytest.raises(StorageError, match="2 of 8 bytes at offset 2"):
        read_location(f"range:2+8:{place}")


@pytest.mark.parametrize("name", [b"plain.jpg", b"a::b #1 %41.jpg", b"caf\xe9.jpg"])
def test_a_location_is_read_whatever_its_name(name: bytes, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"photo")
    text = str(path)
    location = text if text.isprintable() and text.isascii() else path.as_uri()
    assert read_location(location) == b"photo"


def test_a_missing_location_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none.jpg: cannot be read"):
        read_location(str(tmp_path / "none.jpg"))


@pytest.mark.parametrize("place", ["", "range:2+3:"])
def test_a_connection_that_fails_is_named(place: str, file_server: Any, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"0123456789")
    for fault in ("503", "cut", "404"):
        file_server.faults = [fault] * 3
        with pytest.raises(StorageError, match=r"a\.tar: cannot be read"):
            read_location(f"{place}{file_server.url}/a.tar")


def test_only_a_file_that_is_not_there_is_called_missing(file_server: Any) -> None:
    for fault, error in (("503", ConnectionError), ("404", FileNotFoundError)):
        file_server.faults = [fault] * 3
        with pytest.raises(error), open_file(f"{file_server.url}/a.tar"):
            pass
