"""Which row of an earlier version a class takes its centre from."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.carry import source_rows


@dataclass
class Version:
    identities: dict[str, int]
    retired: dict[str, int] = field(default_factory=dict)


def test_the_same_version_keeps_every_row() -> None:
    version = Version({"Ada": 0, "Cid": 2}, {"Bea": 1})

    assert source_rows(version, version).tolist() == [0, 1, 2]


def test_additions_are_new() -> None:
    earlier = Version({"Ada": 0, "Bea": 1})

    assert source_rows(earlier, Version({"Ada": 0, "Bea": 1, "Cid": 2})).tolist() == [0, 1, -1]


def test_a_merged_name_keeps_its_own_retired_row() -> None:
    earlier = Version({"Ada": 0, "Ada L.": 1, "Bea": 2})
    later = Version({"Ada": 0, "Bea": 2}, {"Ada L.": 1})

    assert source_rows(earlier, later).tolist() == [0, 1, 2]


def test_one_who_comes_back_finds_the_old_centre() -> None:
    earlier = Version({"Ada": 0}, {"Bea": 1})

    assert source_rows(earlier, Version({"Ada": 0, "Bea": 1})).tolist() == [0, 1]


def test_names_count_when_a_set_was_numbered_anew() -> None:
    earlier = Version({"Ada": 0, "Bea": 1, "Cid": 2})

    assert source_rows(earlier, Version({"Bea": 0, "Cid": 1, "Dov": 3})).tolist() == [1, 2, -1, -1]
