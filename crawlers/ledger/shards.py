"""Raw bytes as fetched, in tar files of about 256 MB: ``raw/000000.tar``, each body once.

A member is ``<sha256>.<ext>`` of the format that its first bytes say (POSIX.1-1988, ustar), with
nothing of the machine or the time in its header. Where the bytes lie is in the crawl ledger.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crawlers.content import sniff_image

SHARD_BYTES = 256 << 20
END = bytes(1024)
"""The two empty blocks that end a tar."""
_BLOCK = 512
_WRITE_BYTES = 4 << 20
_UNKNOWN_TYPE = "application/octet-stream"
_EXTENSIONS = {"image/jpeg": "jpg", "image/tiff": "tif", _UNKNOWN_TYPE: "bin"}
_AFTER_CHECKSUM = b"0".ljust(101, b"\0") + b"ustar\x0000".ljust(255, b"\0")
_SUM_AFTER = sum(b" " * 8) + sum(_AFTER_CHECKSUM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A tar file; of its ``length`` bytes the ledger knows."""

    number: int
    length: int = 0
    is_closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPlace:
    """Where one body lies: ``size_bytes`` from ``offset`` on."""

    sha256: bytes
    shard: int
    offset: int
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Bodies that are on the disk; ``shards`` are those that changed."""

    places: tuple[RawPlace, ...] = ()
    shards: tuple[Shard, ...] = ()


def shard_path(folder: Path, number: int) -> Path:
    """Return where a shard of the crawl folder lies."""
    return folder / "raw" / f"{number:06}.tar"


class RawShards:
    """The tars of a crawl folder, of which the last is written to by one process at a time."""

    def __init__(self, folder: Path, last: Shard | None, shard_bytes: int = SHARD_BYTES) -> None:
        """Go on behind ``last``; what lies in it beyond its length is cut off.

        Raises:
            OSError: when the folder cannot be written to.
        """
        self._folder = folder
        self._shard_bytes = shard_bytes
        shard_path(folder, 0).parent.mkdir(exist_ok=True)
        if last is not None and last.is_closed:
            last = Shard(number=last.number + 1)
        self._shard = last or Shard(number=0)
        self._file = self._open()

    def append(self, bodies: Mapping[str, bytes]) -> Placed:
        """Write bodies, by their sha256 in hex, and wait until they are on the disk.

        Raises:
            OSError: when the disk is full or read-only. What was written of them then is unknown
                to the ledger, and cut off by the next :class:`RawShards`.
        """
        places: list[RawPlace] = []
        closed: list[Shard] = []
        parts: list[bytes] = []
        waiting = 0
        for sha256, body in bodies.items():
            if self._shard.length + waiting >= self._shard_bytes:
                self._write(parts, waiting)
                closed.append(self._begin_next())
                parts, waiting = [], 0
            place = self._place(sha256, body, waiting)
            header, padding = _header(sha256, place), bytes(-len(body) % _BLOCK)
            parts += (header, body, padding)
            waiting += len(header) + len(body) + len(padding)
            places.append(place)
            if waiting >= _WRITE_BYTES:
                self._write(parts, waiting)
                parts, waiting = [], 0
        if not places:
            return Placed()
        self._write(parts, waiting)
        os.fsync(self._file)
        return Placed(places=tuple(places), shards=(*closed, self._shard))

    def close(self, *, is_whole: bool = True) -> None:
        """Close the last tar; when it ``is_whole``, with the end of a tar.

        The next :class:`RawShards` takes that end away.

        Raises:
            OSError: when the disk is full or read-only.
        """
        try:
            if is_whole:
                _write_all(self._file, END, self._shard.length)
        finally:
            os.close(self._file)

    def _open(self) -> int:
        path = shard_path(self._folder, self._shard.number)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(file, self._shard.length)
        _sync_folder(path.parent)
        return file

    def _place(self, sha256: str, body: bytes, waiting: int) -> RawPlace:
        return RawPlace(
            sha256=bytes.fromhex(sha256),
            shard=self._shard.number,
            offset=self._shard.length + waiting + _BLOCK,
            size_bytes=len(body),
            media_type=sniff_image(body) or _UNKNOWN_TYPE,
        )

    def _write(self, parts: Sequence[bytes], size: int) -> None:
        _write_all(self._file, b"".join(parts), self._shard.length)
        self._shard = Shard(number=self._shard.number, length=self._shard.length + size)

    def _begin_next(self) -> Shard:
        """End the current tar and begin another; return the ended one."""
        full, file = self._shard, self._file
        _write_all(file, END, full.length)
        os.fsync(file)
        self._shard = Shard(number=full.number + 1)
        self._file = self._open()
        os.close(file)
        return Shard(number=full.number, length=full.length + len(END), is_closed=True)


def _header(sha256: str, place: RawPlace) -> bytes:
    """Return the block before a body: a regular file of mode 0644, of 1970, of nobody."""
    kind = place.media_type
    extension = _EXTENSIONS.get(kind) or kind.rpartition("/")[2]
    name = f"{sha256}.{extension}".encode().ljust(100, b"\0")
    mode, owner, group, time = b"0000644", b"0000000", b"0000000", b"00000000000"
    fields = (mode, owner, group, b"%011o" % place.size_bytes, time, b"")
    before = name + b"\0".join(fields)
    checksum = b"%06o\0 " % (sum(before) + _SUM_AFTER)
    return before + checksum + _AFTER_CHECKSUM


def _write_all(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _sync_folder(folder: Path) -> None:
    """Make a file's name in its folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
