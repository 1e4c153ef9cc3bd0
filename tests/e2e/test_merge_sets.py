"""Two sets that hold the same people under names of their own."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path
from typing import Any

from facedata.names import have_one_name
from facedata.records import LedgerRow
from facedata.review import CandidateRow
from facedata.storage import Storage


def shipped(work: Path, version: str) -> dict[str, set[str]]:
    """Identity → the images that the version has of it; no image twice."""
    ledger = Storage(work).read_records(f"versions/{version}/ledger.parquet", LedgerRow)
    rows = [row for row in ledger if row.identity is not None]
    assert len({row.image_id for row in rows}) == len(rows)
    found = defaultdict(set)
    for row in rows:
        found[row.identity].add(row.image_id)
    return found


def say_same(table: Path) -> None:
    """Answer every pair with one name in the table of pairs."""
    rows = list(csv.DictReader(io.StringIO(table.read_bytes().decode("utf-8-sig"), newline="")))
    for row in rows:
        if have_one_name(row["identity_a"], row["identity_b"]):
            row["decision"] = "same"
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    table.write_bytes(out.getvalue().encode())


def test_two_sets_of_the_same_photos_lose_nothing_and_merge_to_one(
    winnow: Any, write_recipe: Any, photos: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    one = write_recipe(photos, "one.yaml", name="one")
    winnow("build", one, "-w", work, "--json")
    alone = shipped(work, "one-v0001")

    sets = [
        {"name": name, "folder": {"path": str(photos)}, "identities": "own"} for name in ("a", "b")
    ]
    both = write_recipe(photos, "both.yaml", name="both", sources=sets)
    assert winnow("build", both, "-w", work, "--json").code == 0
    undecided = shipped(work, "both-v0001")
    assert set.union(*undecided.values()) == set.union(*alone.values())

    candidates = Storage(work).read_records("versions/both-v0001/candidates.parquet", CandidateRow)
    pairs = {(row.identity_a, row.identity_b): row.max_similarity for row in candidates}
    for person in alone:
        # One face of the same photo.
        assert pairs[f"a:{person}", f"b:{person}"] > 0.99
    first = (work / "review/both/pairs.csv").read_text("utf-8-sig").splitlines()[1]
    assert "a:" in first
    assert "b:" in first

    say_same(work / "review/both/pairs.csv")
    assert winnow("build", both, "-w", work, "--json").code == 0
    merged = shipped(work, "both-v0002")
    # Nobody is there twice, and no photo is counted twice.
    people = {name.split(":")[1]: images for name, images in merged.items()}
    assert people == alone
