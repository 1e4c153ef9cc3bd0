"""The whole command on real photos with known label noise: the figures of a released version."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from facedata.records import LedgerRow
from facedata.review import CandidateRow
from facedata.storage import Storage

SHARED = Path(os.environ.get("WINNOW_SHARED", Path(__file__).parents[3] / "shared"))
pytestmark = pytest.mark.skipif(
    not (SHARED / "data/lfw").is_dir(), reason=f"real photos are not at {SHARED}"
)
SEED = 4
MOVED_SHARE = 0.2


@dataclass(frozen=True)
class Built:
    """A version built from photos of which some were moved to a wrong person."""

    ledger: list[LedgerRow]
    candidates: list[CandidateRow]
    truth: dict[str, str]
    """Path below the source → whom the photo shows."""
    answer: dict[str, object]


def people_with_five() -> dict[str, list[Path]]:
    folders = sorted((SHARED / "data/lfw").iterdir())
    photos = {folder.name: sorted(folder.glob("*.jpg")) for folder in folders}
    return {name: files for name, files in photos.items() if len(files) >= 5}


def mislabelled() -> dict[str, str | None]:
    truth = json.loads((SHARED / "data/truth.json").read_text())
    found: dict[str, str | None] = truth["mislabelled"]
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("noisy")
    people, wrong = people_with_five(), mislabelled()
    rng = random.Random(SEED)
    photos = [(name, file) for name, files in people.items() for file in files]
    moved = set(rng.sample(range(len(photos)), round(MOVED_SHARE * len(photos))))
    names, truth = sorted(people), {}
    for number, (name, file) in enumerate(photos):
        filed = rng.choice([n for n in names if n != name]) if number in moved else name
        target = folder / "photos" / filed / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
        if file.stem not in wrong:
            truth[f"{filed}/{file.name}"] = name
    recipe = {
        "name": "noisy",
        "models": str(SHARED / "models/buffalo_sc"),
        "sources": [{"folder": {"path": "photos"}}],
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-m", "flows.cli", "build", "recipe.yaml", "-w", "work", "--json"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=800
    )
    assert done.returncode == 0, done.stderr
    storage = Storage(folder / "work")
    version = "versions/noisy-v0001"
    return Built(
        ledger=storage.read_records(f"{version}/ledger.parquet", LedgerRow),
        candidates=storage.read_records(f"{version}/candidates.parquet", CandidateRow),
        truth=truth,
        answer=json.loads(done.stdout),
    )


def test_every_photo_is_accounted_for(built: Built) -> None:
    counts = built.answer["release"]["counts"]  # type: ignore[index]
    assert counts["images"] == len(built.ledger)
    outcomes = ("kept", "dropped", "moved", "held")
    assert counts["images"] == sum(counts[outcome] for outcome in outcomes)


def test_wrong_photos_are_gone_and_genuine_ones_stay(built: Built) -> None:
    judged = [
        (row, built.truth[row.source_uri]) for row in built.ledger if row.source_uri in built.truth
    ]
    shipped = [(row, person) for row, person in judged if row.identity is not None]
    wrong = [row.source_uri for row, person in shipped if row.identity != person]
    genuine = [row for row, person in judged if row.claimed_identity == person]
    kept = [row for row in genuine if row.outcome == "kept"]
    misfiled = [(row, person) for row, person in judged if row.claimed_identity != person]
    home = [row for row, person in misfiled if row.identity == person]
    assert len(wrong) <= 0.0005 * len(shipped), wrong
    assert len(kept) >= 0.998 * len(genuine)
    assert len(home) >= 0.95 * len(misfiled)
    assert all(row.outcome == "moved" for row in home)


def test_nobody_is_merged_without_a_decision(built: Built) -> None:
    assert {row.decision for row in built.candidates} <= {"pending"}
    identities = {row.identity for row in built.ledger if row.identity is not None}
    assert {"Serena_Williams", "Venus_Williams"} <= identities
