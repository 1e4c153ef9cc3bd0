"""Which row of an earlier version a class takes its centre from."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.carry import source_rows


@dataclass
class Version:
    identities: dict[str, int]
    retired: dict[str, int] = field(default_factory=dict)


def test_the_same_version_keeps_every_row() -> None:
    version = Version({"Ada": 0, "Bea": 1, "Cid": 2})

    assert source_rows(version, version).tolist() == [0, 1, 2]


def test_additions_are_new() -> None:
    earlier = Version({"Ada": 0, "Bea": 1})

    assert source_rows(earlier, Version({"Ada": 0, "Bea": 1, "Cid": 2})).tolist() == [0, 1, -1]


def test_the_centre_of_a_name_merged_away_is_gone() -> None:
    earlier = Version({"Ada": 0, "Ada L.": 1, "Bea": 2})
    later = Version({"Ada": 0, "Bea": 2}, {"Ada L.": 1})

    assert source_rows(earlier, later).tolist() == [0, -1, 2]


def test_the_centre_of_somebody_removed_is_gone() -> None:
    earlier = Version({"Ada": 0, "Bea": 1})

    assert source_rows(earlier, Version({"Ada": 0}, {"Bea": 1})).tolist() == [0, -1]
    assert source_rows(earlier, Version({"Ada": 0})).tolist() == [0]


def test_one_who_comes_back_is_new() -> None:
    earlier = Version({"Ada": 0}, {"Bea": 1})

    assert source_rows(earlier, Version({"Ada": 0, "Bea": 1})).tolist() == [0, -1]


def test_names_count_when_a_set_was_numbered_anew() -> None:
    earlier = Version({"Ada": 0, "Bea": 1, "Cid": 2})

    assert source_rows(earlier, Version({"Bea": 0, "Cid": 1, "Dov": 3})).tolist() == [1, 2, -1, -1]
