"""The crawl's own ledger: one JSON line for every page and image asked for, whatever came of it.

Lines are only ever appended, each one flushed to the disk before the crawl goes on, so that a
killed crawl loses nothing it had; a last line cut off by the kill is dropped. The latest line of
a key (kind, identity, URL) counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

from facedata.errors import IntegrityError


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlRow:
    """What came of asking for one URL for one identity.

    ``page_url`` is the page that linked it, null for a start page. ``fetched_at`` is ISO 8601 in
    UTC. ``final_url`` is where redirects ended, null when there were none. ``cause`` is null on
    success, otherwise a ``Cause``; ``detail`` may say more.
    """

    identity: str
    site: str
    spider: str
    url: str
    page_url: str | None
    fetched_at: str
    final_url: str | None = None
    http_status: int | None = None
    content_type: str | None = None
    cause: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow(UrlRow):
    """An image; ``sha256`` (hex) and ``size_bytes`` of the stored bytes, null on failure."""

    sha256: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRow(UrlRow):
    """A listing page with the links found on it, absolute and in page order.

    ``without_url`` counts selected image elements that had no URL in the attribute.
    """

    image_urls: tuple[str, ...] = ()
    next_url: str | None = None
    without_url: int = 0


_KIND_OF = {ImageRow: "image", PageRow: "page"}
_TYPE_OF: dict[str, type[UrlRow]] = {kind: row_type for row_type, kind in _KIND_OF.items()}


def read_rows(path: Path) -> Iterator[UrlRow]:
    """Yield the rows of a ledger in the order written; a cut-off last line is passed over.

    Raises:
        IntegrityError: when a whole line is not a row.
    """
    if not path.exists():
        return
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.endswith(b"\n"):
                yield _parsed(line, f"{path}:{number}")


class LedgerWriter:
    """Appends rows durably. Only one may be open on a file; the child process holds a lock."""

    def __init__(self, path: Path) -> None:
        _drop_cut_off_line(path)
        self._stream: BinaryIO = path.open("ab", buffering=0)

    def append(self, row: UrlRow) -> None:
        """Write one row and wait until it is on the disk."""
        facts = {"kind": _KIND_OF[type(row)], **asdict(row)}
        line = json.dumps(facts, ensure_ascii=False, separators=(",", ":")) + "\n"
        self._stream.write(line.encode("utf-8", "backslashreplace"))
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _parsed(line: bytes, where: str) -> UrlRow:
    try:
        facts = json.loads(line)
        row_type = _TYPE_OF[facts.pop("kind")]
        known = {field.name for field in fields(row_type)}
        values: dict[str, Any] = {key: _frozen(facts[key]) for key in known & facts.keys()}
        row = row_type(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"crawl ledger {where}: not a ledger line ({error!r}); restore the file, or start the "
            "crawl in a new folder"
        ) from error
    return row


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _drop_cut_off_line(path: Path) -> None:
    """Cut off what follows the last line end, so that the next row begins a line of its own."""
    if not path.exists():
        return
    with path.open("r+b") as stream:
        content_end = stream.seek(0, os.SEEK_END)
        line_end = _last_line_end(stream, content_end)
        if line_end < content_end:
            stream.truncate(line_end)


def _last_line_end(stream: BinaryIO, content_end: int) -> int:
    """Return the offset just after the last newline before ``content_end``, 0 without one."""
    piece_bytes = 1 << 16
    end = content_end
    while end > 0:
        start = max(0, end - piece_bytes)
        stream.seek(start)
        at = stream.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0
