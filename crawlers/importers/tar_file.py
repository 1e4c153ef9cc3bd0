"""The members of a tar file by where their bytes lie: read in order, nothing unpacked.

Written for files of unknown origin: what a header makes this module read is bounded, names are
only text, and links, devices and sparse files are not followed. Format: POSIX.1-1988 (ustar),
with GNU long names, and the ``path`` and ``size`` of POSIX.1-2001 (pax).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from facedata.errors import SourceError

MAX_BROKEN = 10_000
"""Most places in one file where reading may have to begin anew."""
_BLOCK = 512
_NAME_BYTES = 1 << 16
_MOST_EXTRAS = 8
_REGULAR = (b"0", b"\0", b"7")
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"L", b"K", b"x", b"g"
_EXTRAS = (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL)
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")
_EMPTY = bytes(_BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class TarMember:
    """A regular file in a tar: its name, and the ``size`` bytes from ``offset`` on."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenMember:
    """A place where no member can be read, and why."""

    offset: int
    problem: str


class _Broken(Exception):  # noqa: N818 - caught in this module
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    name: str
    size: int
    kind: bytes


@dataclass(slots=True)
class _Extras:
    """What headers before a member's own say about it."""

    name: str | None = None
    size: int | None = None


def read_members(stream: BinaryIO, size: int) -> Iterator[TarMember | BrokenMember]:
    """List the regular files of a tar of ``size`` bytes in their order.

    After something that is no member, reading goes on at the next block that is one.

    Raises:
        SourceError: when the file is compressed, or ``MAX_BROKEN`` places are no members.
    """
    stream.seek(0)
    if stream.read(5).startswith(_COMPRESSED):
        raise SourceError("compressed, so that its images have no place of their own; unpack it")
    offset = broken_places = 0
    while offset + _BLOCK <= size:
        if broken_places == MAX_BROKEN:
            raise SourceError(f"{broken_places} places are no members; fetch it again")
        try:
            member, offset = _read_member(stream, offset, size)
            if member is not None:
                yield member
        except _Broken as broken:
            broken_places += 1
            yield BrokenMember(offset=offset, problem=str(broken))
            offset = _find_header(stream, offset + _BLOCK, size)


def _read_member(stream: BinaryIO, offset: int, size: int) -> tuple[TarMember | None, int]:
    """Return what begins at ``offset`` when it is a regular file, and where the next begins."""
    extras = _Extras()
    for _ in range(_MOST_EXTRAS):
        header = _read_header(stream, offset)
        if header is None:
            return None, offset + _BLOCK
        data = offset + _BLOCK
        own = header.kind not in _EXTRAS
        length = extras.size if own and extras.size is not None else header.size
        if length > size - data:
            raise _Broken(f"{header.name!r} has {length} bytes, beyond the end of the file")
        offset = data + length + -length % _BLOCK
        if own:
            name = header.name if extras.name is None else extras.name
            member = TarMember(name=name, offset=data, size=length)
            return (member if header.kind in _REGULAR else None), offset
        _take_extra(stream, header, data, extras)
    raise _Broken(f"more than {_MOST_EXTRAS} headers before a file")


def _read_header(stream: BinaryIO, offset: int) -> _Header | None:
    """Read the block at ``offset``; None when it is empty, as at the end of a tar."""
    stream.seek(offset)
    block = stream.read(_BLOCK)
    if block == _EMPTY:
        return None
    return _parse_header(block)


def _parse_header(block: bytes) -> _Header:
    if len(block) < _BLOCK or sum(block) - sum(block[148:156]) + 8 * 32 != _number(block[148:156]):
        raise _Broken("a header's checksum is wrong")
    name = _text(block[:100].split(b"\0", 1)[0])
    if block[257:263] == b"ustar\0":
        prefix = _text(block[345:500].split(b"\0", 1)[0])
        name = f"{prefix}/{name}" if prefix else name
    return _Header(name=name, size=_number(block[124:136]), kind=block[156:157])


def _number(digits: bytes) -> int:
    """Read octal digits, or GNU's binary numbers for files from 8 GiB on."""
    if digits[:1] == b"\x80":
        return int.from_bytes(digits[1:], "big")
    text = digits.strip(b" \0")
    if not text:
        return 0
    if text.strip(b"01234567"):
        raise _Broken(f"a header has the number {text!r}")
    return int(text, 8)


def _take_extra(stream: BinaryIO, header: _Header, data: int, extras: _Extras) -> None:
    if header.kind not in (_LONG_NAME, _PAX):
        return
    if header.size > _NAME_BYTES:
        raise _Broken(f"a name of {header.size} bytes")
    stream.seek(data)
    text = stream.read(header.size)
    if header.kind == _LONG_NAME:
        extras.name = _text(text.rstrip(b"\0"))
    else:
        _take_pax(text, extras)


def _take_pax(text: bytes, extras: _Extras) -> None:
    """Read lines of ``<length> <keyword>=<value>``, of which the length counts all bytes."""
    while text:
        digits, _, _ = text[:20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        if not len(digits) + 2 < length <= len(text):
            raise _Broken("a damaged pax header")
        keyword, _, value = text[len(digits) + 1 : length - 1].partition(b"=")
        if keyword == b"path":
            extras.name = _text(value)
        elif keyword == b"size":
            extras.size = _pax_size(value)
        text = text[length:]


def _pax_size(value: bytes) -> int:
    if not value.isdigit() or len(value) > 18:
        raise _Broken(f"a pax header has the size {value[:40]!r}")
    return int(value)


def _text(raw: bytes) -> str:
    """A name as text that any table can hold: bytes that are no UTF-8 become ``\\xNN``."""
    return raw.decode("utf-8", "backslashreplace")


def _find_header(stream: BinaryIO, start: int, size: int) -> int:
    """Find the next block from ``start`` that is a whole header."""
    for offset in range(start, size - _BLOCK + 1, _BLOCK):
        stream.seek(offset)
        block = stream.read(_BLOCK)
        if block[257:262] == b"ustar" and _is_header(block):
            return offset
    return size


def _is_header(block: bytes) -> bool:
    try:
        _parse_header(block)
    except _Broken:
        return False
    return True
