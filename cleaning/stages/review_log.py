"""An append-only log of a review: read whole or in part, and whole again after a cut-off write."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from facedata.jsonl import Row, from_lines, to_lines
from facedata.storage import Storage

T = TypeVar("T", bound=Row)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewLog(Generic[T]):
    """Rows of one type in a file of JSON lines.

    A process that was killed while it appended may leave a last line that is cut off. Nobody has
    acted on that row and whoever wrote it writes it again, so it is passed over, and taken away by
    the next append. Damage anywhere else is an error.
    """

    storage: Storage
    path: str
    row_type: type[T]

    def rows(self) -> list[T]:
        """All rows, oldest first.

        Raises:
            IntegrityError: a line is damaged.
        """
        return self._parsed(b"".join(self._parts()))

    def rows_with(self, field: str, wanted: Collection[str]) -> list[T]:
        """The rows whose text ``field`` is one of those wanted, oldest first.

        Other lines are not parsed, which is most of the time that reading takes.

        Raises:
            IntegrityError: one of these lines is damaged.
        """
        if not wanted:
            return []
        whole, last = self._parts()
        named = _valued(field)

        @cache
        def is_wanted(value: bytes) -> bool:
            return json.loads(value.decode("utf-8", "replace")) in wanted

        def chosen(line: bytes) -> bool:
            found = named.search(line)
            return found is not None and is_wanted(found[1])

        lines = (whole + last).split(b"\n")
        # Empty lines keep the others' numbers, for messages.
        return self._parsed(b"\n".join(line if chosen(line) else b"" for line in lines))

    def counts_of(self, field: str) -> Counter[str]:
        """How many rows have each value of a text ``field``; rows are not parsed."""
        found = Counter(_valued(field).findall(b"".join(self._parts())))
        return Counter({json.loads(value): count for value, count in found.items()})

    def append(self, rows: Sequence[T]) -> None:
        """Add rows at the end."""
        if not rows:
            return
        whole, last = self._parts()
        if self.storage.exists(self.path) and self.storage.size(self.path) != len(whole):
            self.storage.write(self.path, whole + last + (b"\n" if last else b""))
        self.storage.append(self.path, to_lines(rows))

    def _parsed(self, data: bytes) -> list[T]:
        return from_lines(self.row_type, data, self.storage.url(self.path))

    def _parts(self) -> tuple[bytes, bytes]:
        """The lines that end, and a last one that does not, empty where it is cut off."""
        if not self.storage.exists(self.path):
            return b"", b""
        data = self.storage.read(self.path)
        end = data.rfind(b"\n") + 1
        return data[:end], data[end:] if _is_json(data[end:]) else b""


def _valued(field: str) -> re.Pattern[bytes]:
    """Finds the value of a text field in a line, with its quotes."""
    return re.compile(rb'"%s"\s*:\s*("(?:[^"\\]|\\.)*")' % re.escape(field.encode()))


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
