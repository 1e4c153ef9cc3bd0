"""The ``.idx`` beside a ``.rec``: where each record begins, as ``<number>\\t<offset>`` lines."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from crawlers.identity_name import shown
from crawlers.importers.listing import opened
from facedata.errors import SourceError

_LINE_BYTES = 64
_SMALLEST_RECORD = 8


class RecordIndex:
    """Offsets and numbers of records, 17 bytes each in memory, and which have been found."""

    def __init__(self, numbers: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
        order = np.argsort(offsets, kind="stable")
        self._numbers, self._offsets = numbers[order], offsets[order]
        self._found = np.zeros(len(order), dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._offsets)

    def take(self, offset: int) -> int | None:
        """The number of the record that begins at ``offset``, or None; it counts as found."""
        row = int(np.searchsorted(self._offsets, offset))
        if row == len(self) or self._offsets[row] != offset:
            return None
        self._found[row] = True
        return int(self._numbers[row])

    def missing(self) -> tuple[int, int | None]:
        """How many records were not found, and the number of the first in the file."""
        rows = np.flatnonzero(~self._found)
        return len(rows), int(self._numbers[rows[0]]) if len(rows) else None


def read_index(file: str, size: int) -> RecordIndex:
    """Read the index of a record file of ``size`` bytes.

    Raises:
        SourceError: when it cannot be read, a line is of another form, an offset lies outside the
            record file or comes twice, or there are more lines than records can be.
    """
    numbers, offsets = array("q"), array("q")
    with opened(file) as stream:
        while line := stream.readline(_LINE_BYTES):
            number, offset = _parse(line, file, len(numbers) + 1)
            if not 0 <= offset < size:
                raise SourceError(
                    f"{shown(file)} line {len(numbers) + 1}: offset {offset} lies outside the "
                    f"{size} bytes of the record file; make the index anew"
                )
            if len(numbers) * _SMALLEST_RECORD > size:
                raise SourceError(
                    f"{shown(file)}: more than {len(numbers)} lines for {size} bytes of records; "
                    "make the index anew"
                )
            numbers.append(number)
            offsets.append(offset)
    found = np.frombuffer(offsets, dtype=np.int64) if offsets else np.zeros(0, np.int64)
    keys = np.frombuffer(numbers, dtype=np.int64) if numbers else np.zeros(0, np.int64)
    if len(np.unique(found)) < len(found):
        raise SourceError(f"{shown(file)}: an offset comes twice; make the index anew")
    return RecordIndex(keys, found)


def _parse(line: bytes, file: str, number: int) -> tuple[int, int]:
    try:
        key, offset = line.split()
        if not (key.isdigit() and offset.isdigit() and len(key) < 19 and len(offset) < 19):
            raise ValueError(line)
        return int(key), int(offset)
    except ValueError as error:
        raise SourceError(
            f"{shown(file)} line {number}: {line!r} is not a record's number and offset; "
            "make the index anew, or take it away"
        ) from error
