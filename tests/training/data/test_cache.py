"""A cache of shards that several processes share: its limit, its locks, and what is left behind."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from facedata.errors import RequestError, StorageError
from facedata.versions import ShardEntry
from training.data.cache import ShardCache

SIZE = 40_000
CONTENTS = [bytes([number]) * SIZE for number in range(6)]
SHARDS = [
    ShardEntry(
        path=f"shards/{number}.tar",
        images=1,
        size_bytes=SIZE,
        sha256=hashlib.sha256(content).hexdigest(),
    )
    for number, content in enumerate(CONTENTS)
]


def slowly(number: int) -> Iterator[bytes]:
    for start in range(0, SIZE, 10_000):
        time.sleep(0.001)
        yield CONTENTS[number][start : start + 10_000]


def content(cache: ShardCache, number: int) -> bytes:
    descriptor = cache.open(SHARDS[number], lambda: slowly(number))
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()


def read_all(folder: Path, first: int) -> None:
    cache = ShardCache(folder, 2 * SIZE)
    for turn in range(18):
        number = (first + turn * (first + 1)) % len(SHARDS)
        if content(cache, number) != CONTENTS[number]:
            raise SystemExit(f"shard {number} holds something else")


def bytes_in(folder: Path) -> int:
    """Sizes of shards and of parts; one that is renamed meanwhile is counted once."""
    total = {}
    for path in folder.glob("*.*"):
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            continue
        total[path.stem] = max(size, total.get(path.stem, 0))
    return sum(total.values())


def test_processes_together_stay_below_the_limit(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=read_all, args=(folder, first)) for first in range(4)]
    for process in processes:
        process.start()
    most = 0
    while any(process.is_alive() for process in processes):
        most = max(most, bytes_in(folder))
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0] * 4
    assert 0 < most <= 2 * SIZE
    assert not list(folder.glob("*.part"))


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, 3 * SIZE)
    for number in (0, 1, 2, 0, 3):
        content(cache, number)

    kept = {path.stem for path in tmp_path.glob("*.tar")}

    assert kept == {SHARDS[number].sha256 for number in (0, 2, 3)}


def test_what_a_killed_download_left_is_removed(tmp_path: Path) -> None:
    cache = ShardCache(tmp_path, 2 * SIZE)
    for number in (0, 1):
        (tmp_path / f"{SHARDS[number].sha256}.part").write_bytes(b"x" * SIZE)

    assert content(cache, 0) == CONTENTS[0]

    assert [path.name for path in tmp_path.glob("*.[tp]ar*")] == [f"{SHARDS[0].sha256}.tar"]


def test_a_download_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x"
        raise StorageError("the connection was cut")

    with pytest.raises(StorageError, match="the connection was cut"):
        ShardCache(tmp_path, SIZE).open(SHARDS[0], failing)

    assert bytes_in(tmp_path) == 0


def test_a_limit_below_one_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cache_gigabytes is 3e-05, one shard is 4e-05; raise"):
        content(ShardCache(tmp_path, 30_000), 0)


def test_a_disk_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", without_locks)

    with pytest.raises(RequestError, match=r"its file system has no locks \(No locks available\)"):
        content(ShardCache(tmp_path, SIZE), 0)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageError, match=r"data\.cache .*: Not a directory; free space, or set"):
        content(ShardCache(tmp_path / "file" / "shards", SIZE), 0)
