"""The frames of a RecordIO file, as MXNet and dmlc-core write them, read without either.

A record begins at a multiple of four bytes with the word ``0xced7230a`` and a word of which the
upper three bits say which part it is (0 whole, 1 first, 2 middle, 3 last) and the other 29 how
long its data are; data are padded to four bytes. Where data hold the magic word at a multiple of
four bytes, the writer leaves it out and begins the next part there. So the word is found in no
data, and after damage the next record can be found again.
Source: dmlc-core, ``include/dmlc/recordio.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from crawlers.importers.listing import MAX_IMAGE_BYTES
from facedata.errors import SourceError
from facedata.location import ByteRange

MAGIC = 0xCED7230A
_HEADER = struct.Struct("<II")
_WORD = 4
_LENGTH_BITS = 29
_MAX_PARTS = 1024
_SEARCH_BYTES = 1 << 20
_FIRST_LOOK_BYTES = 1 << 16
MAX_BROKEN = 10_000
"""Most places in one file where reading may have to begin anew."""
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One record: where it begins, its data, and the ranges of the file that they are joined of."""

    offset: int
    data: bytes
    ranges: tuple[ByteRange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenFrame:
    """A place where no record can be read, and why."""

    offset: int
    problem: str
    too_large: bool = False


class _Broken(Exception):  # noqa: N818 - caught in this module
    def __init__(self, problem: str, *, too_large: bool = False) -> None:
        super().__init__(problem)
        self.too_large = too_large


def read_frames(stream: BinaryIO, size: int) -> Iterator[Frame | BrokenFrame]:
    """Read all records of a file of ``size`` bytes in their order.

    After something that is no record, reading goes on at the next place that looks like one. At
    most one record is in memory, and at most ``MAX_IMAGE_BYTES`` of it.

    Raises:
        SourceError: when ``MAX_BROKEN`` places are no records.
    """
    offset = broken_places = 0
    while offset < size:
        if broken_places == MAX_BROKEN:
            raise SourceError(
                f"{broken_places} places up to byte {offset} are no records; "
                "this is no RecordIO file, or fetch it again"
            )
        try:
            frame, following = _read_frame(stream, offset, size)
        except _Broken as broken:
            broken_places += 1
            yield BrokenFrame(offset=offset, problem=str(broken), too_large=broken.too_large)
            offset = _find_frame(stream, offset + _WORD, size)
        else:
            yield frame
            offset = following


def _read_frame(stream: BinaryIO, offset: int, size: int) -> tuple[Frame, int]:
    """Return the record at ``offset`` and where the next one begins."""
    parts: list[bytes] = []
    ranges: list[ByteRange] = []
    position, total = offset, 0
    while True:
        kind, length = _read_header(stream, position, size, first=not parts)
        total += length + (_WORD if parts else 0)
        if total > MAX_IMAGE_BYTES:
            raise _Broken(f"more than {MAX_IMAGE_BYTES} bytes", too_large=True)
        if len(parts) > _MAX_PARTS:
            raise _Broken(f"more than {_MAX_PARTS // 2} parts")
        if parts:
            # The word that the writer left out stands in the file as this part's own first word.
            parts.append(_HEADER.pack(MAGIC, 0)[:_WORD])
            ranges.append(ByteRange(offset=position, length=_WORD))
        parts.append(_read_data(stream, length))
        ranges.append(ByteRange(offset=position + _HEADER.size, length=length))
        position += _HEADER.size + length + -length % _WORD
        if kind in (_WHOLE, _LAST):
            return Frame(offset=offset, data=b"".join(parts), ranges=_joined(ranges)), position


def _read_header(stream: BinaryIO, offset: int, size: int, *, first: bool) -> tuple[int, int]:
    stream.seek(offset)
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise _Broken(f"{len(header)} bytes where a record begins")
    magic, word = _HEADER.unpack(header)
    kind, length = word >> _LENGTH_BITS, word & ((1 << _LENGTH_BITS) - 1)
    if magic != MAGIC:
        raise _Broken(f"{magic:#010x} where a record begins")
    if kind not in ((_WHOLE, _FIRST) if first else (_MIDDLE, _LAST)):
        raise _Broken(f"a part of kind {kind} out of order")
    if length > size - offset - _HEADER.size:
        raise _Broken(f"{length} bytes, beyond the end of the file")
    return kind, length


def _read_data(stream: BinaryIO, length: int) -> bytes:
    # A wrong length shows early mostly, and then the rest is not read.
    data = b""
    for wanted in (min(length, _FIRST_LOOK_BYTES), length):
        data += stream.read(wanted - len(data))
        if len(data) < wanted:
            raise _Broken(f"{len(data)} of {length} bytes")
        words = np.frombuffer(data, dtype="<u4", count=wanted // _WORD)
        if (words == MAGIC).any():
            raise _Broken(f"{length} bytes, beyond the beginning of the next record")
    return data


def _joined(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    return tuple(part for part in ranges if part.length) or (ranges[0],)


def _find_frame(stream: BinaryIO, start: int, size: int) -> int:
    """Find the next place from ``start``, a multiple of four, where a record may begin."""
    offset = start
    while offset < size:
        stream.seek(offset)
        # One word more, so that a header across two pieces is seen whole in the first.
        block = stream.read(_SEARCH_BYTES + _WORD)
        words = np.frombuffer(block, dtype="<u4", count=len(block) // _WORD)
        for index in np.flatnonzero(words[:-1] == MAGIC).tolist():
            if int(words[index + 1]) >> _LENGTH_BITS in (_WHOLE, _FIRST):
                return int(offset + index * _WORD)
        if len(block) < _SEARCH_BYTES + _WORD:
            break
        offset += _SEARCH_BYTES
    return size


def cut_front(ranges: tuple[ByteRange, ...], count: int) -> tuple[ByteRange, ...]:
    """The ranges without their first ``count`` bytes; one of length 0 when nothing is left."""
    left: list[ByteRange] = []
    for part in ranges:
        skipped = min(count, part.length)
        count -= skipped
        if skipped < part.length:
            rest = ByteRange(offset=part.offset + skipped, length=part.length - skipped)
            left.append(rest)
    end = ranges[-1].offset + ranges[-1].length
    return tuple(left) or (ByteRange(offset=end, length=0),)
