from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import crawlers
from crawlers.causes import Cause
from crawlers.ledger.rows import Claim
from crawlers.ledger.schema import SCHEMA_VERSION
from crawlers.ledger.view import LedgerView
from facedata.errors import CrawlError, IntegrityError, SourceError, WorkspaceError
from facedata.location import read_bytes

X = "https://x.org"
Maker = Callable[..., Any]


def crawl_photos(crawl: Any, body: Maker, numbers: range) -> None:
    crawl.answers |= {f"{X}/{n}": body(f"{n}" * 700) for n in numbers}
    crawl.ledger.add_claims(Claim(identity="Ada", site="s", url=f"{X}/{n}") for n in numbers)
    crawl.run()


def test_only_one_crawl_writes_to_a_folder(crawl: Any) -> None:
    other = type(crawl)
    with pytest.raises(CrawlError, match=r"^another crawl is writing to .*; wait for it"):
        other(crawl.folder)
    crawl.reopen()


def test_a_ledger_can_be_read_while_it_is_written(crawl: Any, body: Maker) -> None:
    with LedgerView.read(crawl.folder) as view:
        assert view.is_settled()
        crawl_photos(crawl, body, range(2))
        assert view.counts().stored == 2
        half_way = view.stored()
        next(half_way)
        crawl_photos(crawl, body, range(2, 5))
        assert len(list(half_way)) == 1
        assert [read_bytes(one.location) for one in view.stored()] == [
            body(f"{n}" * 700) for n in range(5)
        ]
    crawl.ledger.close()
    with LedgerView.read(crawl.folder) as view:
        assert view.counts().stored == 5
    crawl.open()


def test_a_folder_without_a_crawl_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no crawl \(no ledger.sqlite\); crawl first"):
        LedgerView.read(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, crawl: Any) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WorkspaceError, match=r"cannot be written \(Not a directory\); choose"):
        type(crawl)(tmp_path / "file" / "crawl")


def test_a_damaged_ledger_is_one_clear_error(crawl: Any) -> None:
    crawl.ledger.close()
    path = crawl.folder / "ledger.sqlite"
    whole = path.read_bytes()
    path.write_bytes(b"garbage" * 1000)
    for opening in (crawl.open, lambda: LedgerView.read(crawl.folder).counts()):
        with pytest.raises(IntegrityError, match=r"ledger.sqlite: damaged \(.*\); restore the"):
            opening()
    path.write_bytes(whole)
    crawl.open()


def test_a_ledger_of_another_version_is_left_alone(crawl: Any) -> None:
    crawl.ledger.close()
    path = crawl.folder / "ledger.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    for opening in (crawl.open, lambda: LedgerView.read(crawl.folder)):
        expected = f"has version 7, expected {SCHEMA_VERSION}; use the release"
        with pytest.raises(IntegrityError, match=expected):
            opening()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.close()
    crawl.open()


def test_a_closed_ledger_leaves_whole_tars(crawl: Any, body: Maker) -> None:
    crawl.reopen(shard_bytes=3_000)
    crawl_photos(crawl, body, range(5))
    crawl.ledger.close()
    names = []
    for path in sorted((crawl.folder / "raw").iterdir()):
        assert path.read_bytes()[-1024:] == bytes(1024)
        with tarfile.open(path) as tar:
            names.append([len(member.name) for member in tar.getmembers()])
    assert names == [[68, 68], [68, 68], [68]]
    crawl.open()
    crawl_photos(crawl, body, range(5, 6))
    crawl.ledger.close()
    with tarfile.open(crawl.folder / "raw" / "000002.tar") as tar:
        assert len(tar.getmembers()) == 2
    crawl.open()


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("kept_bytes", [None, 0, 600, 2_100])
def test_images_whose_bytes_are_gone_are_asked_for_again(
    crawl: Any, body: Maker, number: int, kept_bytes: int | None
) -> None:
    crawl.reopen(shard_bytes=3_000)
    crawl_photos(crawl, body, range(6))
    before = crawl.fates()
    crawl.ledger.close()
    path = crawl.folder / "raw" / f"{number:06}.tar"
    if kept_bytes is None:
        path.unlink()
    else:
        os.truncate(path, kept_bytes)
    with (
        LedgerView.read(crawl.folder) as view,
        pytest.raises(IntegrityError, match=r"is missing or cut off; run the crawl again"),
    ):
        list(view.stored())
    crawl.open()
    first = [] if kept_bytes == 2_100 else [f"{X}/{2 * number}"]
    assert len(list(crawl.ledger.stored())) == 5 - len(first)
    assert crawl.run() == [*first, f"{X}/{2 * number + 1}"]
    assert crawl.fates() == before
    assert [read_bytes(one.location) for one in crawl.ledger.stored()] == [
        body(f"{n}" * 700) for n in range(6)
    ]
    crawl.reopen()
    assert crawl.run() == []


def test_what_nobody_claims_any_more_is_not_asked_for_when_its_bytes_are_gone(
    crawl: Any, body: Maker
) -> None:
    crawl_photos(crawl, body, range(2))
    crawl.reopen(listed=frozenset())
    crawl.ledger.close()
    (crawl.folder / "raw" / "000000.tar").unlink()
    crawl.open()
    assert crawl.pending() == []
    crawl.reopen(listed=None)
    assert crawl.run() == [f"{X}/0", f"{X}/1"]


def test_the_bytes_of_an_image_must_be_there(crawl: Any) -> None:
    crawl.ledger.add_claims([Claim(identity="Ada", site="s", url=f"{X}/1")])
    (pending,) = crawl.pending()
    with pytest.raises(IntegrityError, match="were not stored before it was recorded"):
        crawl.answer(pending, None, is_unchanged=False, sha256="ab" * 32)
    crawl.reopen()
    assert crawl.run() == [f"{X}/1"]
    assert crawl.ledger.counts().failed == {Cause.NOT_FOUND: 1}


READ_ONLY = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 77
touch "$1/probe" 2>/dev/null && exit 77
exec "$2" -c "$3" "$1"
"""
COUNT = """
import sys, pathlib
from crawlers.ledger.view import LedgerView
with LedgerView.read(pathlib.Path(sys.argv[1])) as view:
    print(view.counts().stored, len(list(view.stored())))
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare to mount a folder")
@pytest.mark.parametrize("is_closed", [True, False])
def test_a_ledger_can_be_read_on_a_disk_that_is_read_only(
    crawl: Any, body: Maker, is_closed: bool
) -> None:
    crawl_photos(crawl, body, range(3))
    if is_closed:
        crawl.ledger.close()
    repository = str(Path(crawlers.__file__).parents[1])
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", READ_ONLY, "-", crawl.folder, sys.executable, COUNT],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": repository},
    )
    if is_closed:
        crawl.open()
    if done.returncode in {1, 77}:
        pytest.skip(f"no folder can be mounted here: {done.stderr.strip()}")
    assert (done.stdout, done.stderr) == ("3 3\n", "")
