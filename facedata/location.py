"""Where the bytes of an image lie: a whole file, or ranges of a larger one.

A location is a local path, a ``file:`` URI, an fsspec URL, or one of these behind the ranges to
be read and joined: ``range:<offset>+<length>[,<offset>+<length>…]:<file>``, in bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes, urlsplit

import fsspec

from facedata.errors import StorageError
from facedata.transport import connection_errors, one_line

_RANGED = re.compile(r"range:(?P<ranges>\d+\+\d+(?:,\d+\+\d+)*):(?P<file>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """``length`` bytes from ``offset``."""

    offset: int
    length: int


def range_location(ranges: Iterable[ByteRange], file: str) -> str:
    """The location of some ranges of a file, in the order in which they are joined."""
    text = ",".join(f"{part.offset}+{part.length}" for part in ranges)
    return f"range:{text}:{file}"


def split_location(location: str) -> tuple[tuple[ByteRange, ...], str]:
    """Split a location into its ranges (none for a whole file) and the file."""
    match = _RANGED.fullmatch(location)
    if match is None:
        return (), location
    pairs = (text.split("+") for text in match["ranges"].split(","))
    ranges = tuple(ByteRange(offset=int(offset), length=int(length)) for offset, length in pairs)
    return ranges, match["file"]


def is_remote(file: str) -> bool:
    """Whether a file is named by an fsspec URL rather than on the local disk."""
    return "://" in file and not file.startswith("file:")


def path_of(file: str) -> Path:
    """The local path of a path or ``file:`` URI."""
    if file.startswith("file:"):
        return Path(os.fsdecode(unquote_to_bytes(urlsplit(file).path)))
    return Path(file)


def file_location(path: Path) -> str:
    """A local path as a location: a percent-encoded ``file:`` URI when its bytes are no UTF-8."""
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return path.as_uri()
    return text


@contextmanager
def open_file(file: str) -> Iterator[BinaryIO]:
    """The file's stream for reading, seekable.

    Raises:
        OSError: as the file system does, also when a connection fails.
    """
    if not is_remote(file):
        with path_of(file).open("rb") as stream:
            yield stream
        return
    with connection_errors(), fsspec.open(file, "rb") as stream:
        yield stream


def read_bytes(location: str) -> bytes:
    """The bytes at a location; of a remote file only the ranges are fetched.

    Raises:
        OSError: as the file system does, or when the file ends within a range.
    """
    ranges, file = split_location(location)
    if ranges and is_remote(file):
        return _fetch_ranges(file, ranges)
    with open_file(file) as stream:
        if not ranges:
            data: bytes = stream.read()
            return data
        return b"".join(_read_range(stream, part) for part in ranges)


def read_location(location: str) -> bytes:
    """The bytes at an ``ImageRecord.location``: ``read_bytes`` with the project's error.

    Raises:
        StorageError: when it cannot be read.
    """
    try:
        return read_bytes(location)
    except OSError as error:
        raise StorageError(
            f"image {location}: cannot be read ({error.strerror or one_line(error)}); "
            "put it back, or run again to list the source anew"
        ) from error


def _read_range(stream: BinaryIO, part: ByteRange) -> bytes:
    stream.seek(part.offset)
    return _whole(stream.read(part.length), part)


def _fetch_ranges(url: str, ranges: Sequence[ByteRange]) -> bytes:
    fs, path = fsspec.core.url_to_fs(url)
    with connection_errors():
        return b"".join(
            _whole(fs.cat_file(path, start=part.offset, end=part.offset + part.length), part)
            for part in ranges
        )


def _whole(data: bytes, part: ByteRange) -> bytes:
    if len(data) > part.length:
        raise OSError("its server sends whole files only; copy it to a disk or an object store")
    if len(data) != part.length:
        raise OSError(f"{len(data)} of {part.length} bytes at offset {part.offset}")
    return data
