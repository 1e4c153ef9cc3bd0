"""People answer, the next version follows: merged, parted again, indices kept."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

Pair = tuple[str, str]


@pytest.fixture(scope="module")
def same_person(photos: Path) -> Pair:
    """Two folder names of one rendered person."""
    truth = json.loads((photos.parents[1] / "truth.json").read_text("utf-8"))
    slug = {person["name"]: person["slug"] for person in truth["people"]}
    first, second = sorted(slug[name] for name in truth["same_person"][0])
    return first, second


def answered(table: bytes, pair: Pair, word: str) -> bytes:
    """The table with one answer filled in, as a spreadsheet would save it."""
    rows = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline="")))
    (row,) = [r for r in rows if (r["identity_a"], r["identity_b"]) == pair]
    row["decision"] = word
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def test_answers_merge_part_and_keep_class_indices(
    winnow: Any, recipe: Path, same_person: Pair, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    table = work / "review/people/pairs.csv"

    def build() -> dict[str, Any]:
        release: dict[str, Any] = winnow("build", recipe, "-w", work, "--json").answer["release"]
        path = work / "versions" / release["version"] / "manifest.json"
        return {**release, "manifest": json.loads(path.read_text("utf-8"))}

    first = build()
    assert set(same_person) <= set(first["manifest"]["identities"])

    filled = tmp_path / "pairs.csv"
    filled.write_bytes(answered(table.read_bytes(), same_person, "same"))
    options = ["--answers", filled, "--reviewer", "kim"]
    taken = winnow("review", recipe, "-w", work, *options, "--json").answer
    assert taken["stages"]["review"]["new_answers"] == 1
    merged = build()
    assert merged["version"] == "people-v0002"
    kept, gone = sorted(same_person, key=lambda name: name not in merged["manifest"]["identities"])
    before, after = first["manifest"], merged["manifest"]
    assert gone not in after["identities"]
    assert after["retired"] == {gone: before["identities"][gone]}
    assert after["identities"][kept] == before["identities"][kept]

    diff = winnow("versions", "diff", "people-v0001", "people-v0002", "-w", work, "--json").answer
    assert (diff["identities_added"], diff["identities_removed"]) == ([], [gone])
    assert diff["photos_relabelled"] > 0

    # The other way to answer: in the file that lies in the workspace.
    table.write_bytes(answered(table.read_bytes(), same_person, "different"))
    parted = build()
    assert parted["version"] == "people-v0003"
    assert parted["manifest"]["identities"] == before["identities"]
    assert parted["manifest"]["retired"] == {}
    assert not build()["is_new"]


def test_a_wrong_answer_is_named_and_nothing_is_taken(
    winnow: Any, recipe: Path, same_person: Pair, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    winnow("build", recipe, "-w", work, "--json")
    table = work / "review/people/pairs.csv"
    filled = tmp_path / "pairs.csv"
    filled.write_bytes(answered(table.read_bytes(), same_person, "perhaps"))
    refused = winnow("review", recipe, "-w", work, "--answers", filled)
    assert refused.code == 2
    assert "decision 'perhaps' is not an answer; allowed are same, different" in refused.complaint
    assert not (work / "review/people/decisions.jsonl").exists()
