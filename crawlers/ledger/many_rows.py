"""One statement for many rows.

SQLite's driver gives up the interpreter's lock for every row that it is given or returns. Beside a
busy event loop each row then waits for its turn, and a group of rows takes many times as long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

_MOST_ROWS = 256


def execute_rows(
    connection: sqlite3.Connection, statement: str, rows: Iterable[Sequence[object]]
) -> list[tuple[Any, ...]]:
    """Execute a statement for rows of one width, and return what it returns.

    ``{rows}`` in the statement stands for a ``VALUES`` clause; it is executed once for up to 256 of
    the rows.
    """
    returned: list[tuple[Any, ...]] = []
    for chunk in _chunks(rows):
        marks = f"({', '.join('?' * len(chunk[0]))})"
        values = f"VALUES {', '.join([marks] * len(chunk))}"
        cells = [cell for row in chunk for cell in row]
        returned += connection.execute(statement.replace("{rows}", values), cells).fetchall()
    return returned


def stored_digests(connection: sqlite3.Connection, digests: Iterable[bytes]) -> set[bytes]:
    """Return which of some sha256 digests have their bytes in the ledger."""
    query = "SELECT group_concat(hex(sha256), '') FROM raw WHERE sha256 IN ({rows})"
    found = execute_rows(connection, query, ((digest,) for digest in digests))
    whole = bytes.fromhex("".join(text or "" for (text,) in found))
    return {whole[start : start + 32] for start in range(0, len(whole), 32)}


def _chunks(rows: Iterable[Sequence[object]]) -> Iterator[list[Sequence[object]]]:
    """Yield rows in lists whose lengths are powers of two: few statements need to be prepared."""
    given = iter(rows)
    while chunk := list(islice(given, _MOST_ROWS)):
        while chunk:
            size = 1 << (len(chunk).bit_length() - 1)
            yield chunk[:size]
            chunk = chunk[size:]
