"""Which bytes are stored, and where: the tar shards and their rows in the ledger."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path

from crawlers.ledger.many_rows import execute_rows, stored_digests
from crawlers.ledger.schema import DONE, IS_CLAIMED, LEDGER_NAME, PENDING, UNWANTED, connect_reader
from crawlers.ledger.shards import Placed, RawShards, Shard, shard_path

_PUT_SHARD = """
INSERT INTO shards VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET length = excluded.length, is_closed = excluded.is_closed
"""
_PUT_RAW = "INSERT INTO raw {rows}"
_SHARD_ROW = attrgetter("number", "length", "is_closed")
_RAW_ROW = attrgetter("sha256", "shard", "offset", "size_bytes", "media_type")
_WHOLE_END = """
SELECT max(offset + (size_bytes + 511) / 512 * 512) FROM raw WHERE shard = ?
"""
_ASK_AGAIN = f"""
UPDATE urls SET size_bytes = 0, outcome = iif({IS_CLAIMED}, '{PENDING}', '{UNWANTED}')
WHERE outcome = '{DONE}' AND NOT is_page AND NOT EXISTS (
    SELECT 1 FROM raw JOIN answers ON raw.sha256 = answers.sha256
    WHERE answers.number = urls.answer
)
"""


class RawIndex:
    """Stores bodies, each once.

    :meth:`store` may run in one thread while :meth:`note` runs in another: one waits for the disk
    of the tar, the other for the ledger's.
    """

    def __init__(self, connection: sqlite3.Connection, folder: Path, shard_bytes: int) -> None:
        """Bring tars and rows together: after a kill a tar, after a loss the rows are cut back.

        Raises:
            OSError: when the tars cannot be written to.
        """
        self._connection = connection
        self._folder = folder
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            self._forget_lost()
        rows = connection.execute("SELECT * FROM shards ORDER BY number DESC LIMIT 1").fetchall()
        last = [
            Shard(number=number, length=length, is_closed=bool(is_closed))
            for number, length, is_closed in rows
        ]
        self._shards = RawShards(folder, last[0] if last else None, shard_bytes)
        self._known = connect_reader(folder / LEDGER_NAME)
        self._unknown: set[str] = set()

    def store(self, bodies: Mapping[str, bytes]) -> Placed:
        """Write the bodies that are not stored yet; they are on the disk when this returns.

        Raises:
            OSError: when the disk is full or read-only.
        """
        # Looked at before the ledger: what is noted meanwhile is in one of the two.
        new = {sha256: body for sha256, body in bodies.items() if sha256 not in self._unknown}
        for known in stored_digests(self._known, map(bytes.fromhex, new)):
            del new[known.hex()]
        if not new:
            return Placed()
        self._unknown.update(new)
        return self._shards.append(new)

    def note(self, placed: Placed) -> None:
        """Write down where bodies lie; the caller begins and ends the transaction."""
        self._connection.executemany(_PUT_SHARD, map(_SHARD_ROW, placed.shards))
        execute_rows(self._connection, _PUT_RAW, map(_RAW_ROW, placed.places))

    def noted(self, placed: Placed) -> None:
        """Say that the transaction of :meth:`note` has ended well."""
        self._unknown.difference_update(place.sha256.hex() for place in placed.places)

    def close(self, *, is_whole: bool) -> None:
        """Close the last tar; when it ``is_whole``, end it first.

        Raises:
            OSError: when the disk is full or read-only.
        """
        self._known.close()
        self._shards.close(is_whole=is_whole)

    def _forget_lost(self) -> None:
        """Drop the rows of bytes that are no longer there, and ask for their images again."""
        run = self._connection.execute
        is_whole = True
        for number, length in run("SELECT number, length FROM shards").fetchall():
            path = shard_path(self._folder, number)
            size = path.stat().st_size if path.exists() else 0
            if size >= length:
                continue
            is_whole = False
            run("DELETE FROM raw WHERE shard = ? AND offset + size_bytes > ?", (number, size))
            (end,) = run(_WHOLE_END, (number,)).fetchone()
            run("UPDATE shards SET length = ? WHERE number = ?", (end or 0, number))
            if path.exists():
                os.truncate(path, end or 0)
        if not is_whole:
            run(_ASK_AGAIN)
