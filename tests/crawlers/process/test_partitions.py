"""Partitions of identities: everyone is in exactly one, on every machine the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.process.partitions import Partition, all_partitions, partitions_in
from facedata.errors import RequestError


@settings(deadline=None)
@given(st.text(max_size=30), st.integers(1, 40))
def test_everyone_is_in_exactly_one_part(identity: str, total: int) -> None:
    assert sum(part.holds(identity) for part in all_partitions(total)) == 1


def test_who_is_where_never_changes() -> None:
    names = ["Ada Lovelace", "Zoë O’Malley", "李娜", "\udcff"]
    held = {part.number: [n for n in names if part.holds(n)] for part in all_partitions(3)}
    assert held == {1: ["Ada Lovelace"], 2: [], 3: ["Zoë O’Malley", "李娜", "\udcff"]}


def test_a_part_is_named_by_number_and_total() -> None:
    assert Partition.parse("2/4") == Partition(number=2, total=4)
    assert Partition.parse("2/4").folder == "2-of-4"


@pytest.mark.parametrize("text", ["0/4", "5/4", "2", "a/b", "2/4/6", "-1/2", ""])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"is not K/N"):
        Partition.parse(text)


def test_the_parts_that_are_there_are_found(tmp_path: Path) -> None:
    for name in ("2-of-10", "10-of-10", "raw", "0-of-3", "x-of-y"):
        (tmp_path / name).mkdir()
    (tmp_path / "1-of-10").write_bytes(b"")
    found = partitions_in(tmp_path)
    assert [part.folder for part in found] == ["2-of-10", "10-of-10"]
    assert partitions_in(tmp_path / "nowhere") == []
