"""Remote shards on a local disk: downloaded once for all processes, never more than a limit.

``<sha256>.tar`` is a shard, ``<sha256>.part`` one that is under way; a part has its final size from
the start, so the sizes of all files are what they may ever need. Two kinds of locks, which the
operating system lets go of when a process ends, keep processes from each other:

- ``<sha256>.lock`` is held while a shard is downloaded or opened. A part whose lock is free was
  left by a process that was killed.
- ``room.lock`` is held while room is made: files are removed and one part is begun. Whoever holds
  it waits for nobody; a shard whose lock is taken is left alone.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from facedata.errors import RequestError, StorageError
from facedata.versions import ShardEntry

_ASK_AGAIN_SECONDS = 0.05

Fetch = Callable[[], Iterable[bytes]]
"""The content of a shard, piece by piece; raises when it is not what the manifest says."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size: int
    used_ns: int


class ShardCache:
    """Downloaded shards in a folder; any number of processes and threads may share it."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes

    def open(self, shard: ShardEntry, fetch: Fetch) -> int:
        """The descriptor of a shard's file, opened for reading; downloaded if it is not there.

        Raises:
            RequestError: when the folder cannot be used, or its limit is less than this shard.
            StorageError: when the disk is full; and whatever ``fetch`` raises.
        """
        path = self._folder / f"{shard.sha256}.tar"
        with self._disk_errors():
            self._folder.mkdir(parents=True, exist_ok=True)
            with _lock(_lock_of(path)):
                descriptor = _opened(path, shard.size_bytes)
                if descriptor is None:
                    self._download(path, shard.size_bytes, fetch)
                    descriptor = os.open(path, os.O_RDONLY)
                return descriptor

    def _download(self, path: Path, size: int, fetch: Fetch) -> None:
        """Write a shard whole or not at all; its lock is held."""
        part = path.with_suffix(".part")
        if size > self._limit:
            raise RequestError(
                f"data.cache_gigabytes is {self._limit / 1e9:g}, one shard is {size / 1e9:g}; "
                "raise it"
            )
        for left_behind in (path, part):
            left_behind.unlink(missing_ok=True)
        while not self._begin(part, size):
            time.sleep(_ASK_AGAIN_SECONDS)
        try:
            with part.open("r+b") as stream:
                for piece in fetch():
                    stream.write(piece)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _begin(self, part: Path, size: int) -> bool:
        """Make room for a part and begin it; False while other downloads take the room."""
        with _lock(self._folder / "room.lock"):
            files = [*self._files("*.part"), *sorted(self._files("*.tar"), key=_last_used)]
            taken = sum(file.size for file in files)
            for file in files:
                if file.path.suffix == ".part" or taken + size > self._limit:
                    taken -= file.size if _remove(file.path) else 0
            if taken + size > self._limit:
                return False
            part.touch()
            os.truncate(part, size)
            return True

    def _files(self, pattern: str) -> Iterator[_File]:
        for path in self._folder.glob(pattern):
            with suppress(FileNotFoundError):  # a part that has just become a shard
                status = path.stat()
                yield _File(path, status.st_size, status.st_mtime_ns)

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"data.cache {self._folder}: {error.strerror or error}; free space, or set "
                "data.cache to a folder on another disk"
            ) from error


def _opened(path: Path, size: int) -> int | None:
    """The descriptor of a file, marked as just used; None when it is not there whole."""
    try:
        os.utime(path)
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    if os.fstat(descriptor).st_size == size:
        return descriptor
    os.close(descriptor)
    return None


def _remove(path: Path) -> bool:
    """Remove a shard or a part, unless it is at work."""
    try:
        with _lock(_lock_of(path), wait=False):
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    return True


def _last_used(file: _File) -> int:
    return file.used_ns


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


@contextmanager
def _lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """One thread at a time, of all processes that see this folder.

    Raises:
        BlockingIOError: when another has it, and this one does not wait.
        RequestError: when the file system has no locks.
    """
    with path.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError as error:
            raise RequestError(
                f"data.cache {path.parent}: its file system has no locks "
                f"({error.strerror or error}); set data.cache to a folder on a local disk"
            ) from error
        yield
