from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from crawlers.raw_store import RawStore


def test_bytes_lie_under_their_digest_once(tmp_path: Path) -> None:
    store = RawStore(tmp_path)
    store.clear_partial()
    sha256 = store.put(b"photo")
    assert sha256 == hashlib.sha256(b"photo").hexdigest() == store.put(b"photo")
    assert store.path_of(sha256) == tmp_path / "raw" / sha256[:2] / sha256
    assert store.path_of(sha256).read_bytes() == b"photo"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [store.path_of(sha256)]


def test_a_file_cut_short_does_not_count(tmp_path: Path) -> None:
    store = RawStore(tmp_path)
    store.clear_partial()
    sha256 = store.put(b"photo")
    store.path_of(sha256).write_bytes(b"pho")
    assert not store.has(sha256, 5)
    assert store.put(b"photo") == sha256
    assert store.has(sha256, 5)


def test_leftovers_of_a_killed_crawl_are_cleared(tmp_path: Path) -> None:
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / "abc").write_bytes(b"half")
    RawStore(tmp_path).clear_partial()
    assert list((tmp_path / "partial").iterdir()) == []


def test_a_failed_write_leaves_nothing_under_the_digest(tmp_path: Path) -> None:
    store = RawStore(tmp_path)
    store.clear_partial()
    (tmp_path / "raw").write_bytes(b"in the way")
    with pytest.raises(OSError):
        store.put(b"photo")
