"""Statements for many rows at once do what one for each row does."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.ledger.many_rows import execute_rows, stored_digests


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.none() | st.binary())))
def test_all_rows_arrive_in_their_order(rows: list[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE kept (a TEXT, b BLOB)")
        assert execute_rows(database, "INSERT INTO kept {rows}", rows) == []
        assert database.execute("SELECT * FROM kept ORDER BY rowid").fetchall() == rows


@pytest.mark.parametrize("number", [0, 1, 255, 256, 257, 1_000])
def test_few_statements_serve_any_number_of_rows(number: int) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        asked: list[str] = []
        database.set_trace_callback(asked.append)
        query = "SELECT sum(column1) FROM ({rows})"
        sums = execute_rows(database, query, ((n,) for n in range(number)))
        assert sum(one for (one,) in sums) == sum(range(number))
        assert len(asked) <= number // 256 + 8


def test_known_digests_are_found_among_others() -> None:
    digests = [hashlib.sha256(bytes([n])).digest() for n in range(250)]
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE raw (sha256 BLOB PRIMARY KEY)")
        assert stored_digests(database, digests) == set()
        execute_rows(database, "INSERT INTO raw {rows}", ((one,) for one in digests[::2]))
        assert stored_digests(database, digests) == set(digests[::2])
        assert stored_digests(database, []) == set()
