"""Excluded sets, from the recipe to the certificate in the version."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.web import PhotoKind
from facedata.exclusion import ExclusionRow
from facedata.records import LedgerRow
from facedata.storage import Storage
from training.evaluate.verification_bin import write_bin

IN_FOLDER, WRONG, IN_BIN = "priya-bellweather", "thandi-zafirakis", "cassius-mwangaza"
LOOK_ALIKE = "wen-mwangaza"
"""Of the person in the set of pairs: no threshold tells the two apart, so both are out."""


@dataclass(frozen=True)
class Excluded:
    """A version built without the people of two benchmarks."""

    workspace: Path
    recipe: Path
    answer: dict[str, Any]
    wrong: Path

    @property
    def ledger(self) -> list[LedgerRow]:
        path = "versions/people-v0001/ledger.parquet"
        return Storage(self.workspace).read_records(path, LedgerRow)

    @property
    def certificate(self) -> list[ExclusionRow]:
        path = "versions/people-v0001/exclusion.parquet"
        return Storage(self.workspace).read_records(path, ExclusionRow)


def genuine_photos(photos: Path) -> dict[str, list[Path]]:
    """Photos that show whom they are filed under, by folder."""
    truth = json.loads((photos.parents[1] / "truth.json").read_text("utf-8"))["photos"]
    found = defaultdict(list)
    for path, photo in sorted(truth.items()):
        file = photos.parent / path
        if photo["kind"] == PhotoKind.GENUINE:
            found[file.parent.name].append(file)
    return found


@pytest.fixture(scope="module")
def excluded(winnow: Any, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Excluded:
    """One benchmark has Priya under another name, a wrong photo, and a name; the other pairs."""
    folder = tmp_path_factory.mktemp("excluded")
    genuine = genuine_photos(photos)
    wrong = genuine[WRONG][0]
    for person, files in {
        "Somebody Else": [*genuine[IN_FOLDER][:3], wrong],
        "Crew & Cast": genuine[IN_FOLDER][3:4],
    }.items():
        target = folder / "benchmark" / person
        target.mkdir(parents=True)
        for number, file in enumerate(files):
            shutil.copy(file, target / f"{number}.jpg")
    pair = [file.read_bytes() for file in genuine[IN_BIN][:2]]
    write_bin(folder / "pairs.bin", pair, [True])
    recipe = {
        "name": "people",
        "models": "demo",
        "sources": [{"folder": {"path": str(photos)}, "identities": "own"}],
        "exclude": [
            {"name": "benchmark", "folder": {"path": "benchmark"}},
            {"bin": {"path": "pairs.bin"}},
        ],
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = winnow("build", folder / "recipe.yaml", "-w", folder / "work", "--json")
    return Excluded(folder / "work", folder / "recipe.yaml", done.answer, wrong)


def test_excluded_people_are_out_and_the_others_stay(excluded: Excluded) -> None:
    shipped = {row.identity for row in excluded.ledger if row.identity is not None}
    assert shipped == {"folder:thandi-thornquist", "folder:thandi-zafirakis"}
    reasons = defaultdict(set)
    for row in excluded.ledger:
        if row.reason.startswith("excluded"):
            reasons[row.claimed_identity].add(row.reason)
    # The folder's own name is no person's: cast-crew is out because a benchmark has the name.
    assert "excluded_name" in reasons["folder:cast-crew"]
    assert "excluded_face" in reasons["folder:priya-bellweather"]
    assert "excluded_face" in reasons[f"folder:{IN_BIN}"]
    assert "excluded_face" in reasons[f"folder:{LOOK_ALIKE}"]


def test_a_wrong_photo_in_the_benchmark_costs_a_picture_and_no_person(excluded: Excluded) -> None:
    out = [row for row in excluded.ledger if row.reason == "excluded_photo"]
    assert out
    assert {row.source_uri.rsplit("/", 1)[-1] for row in out} >= {excluded.wrong.name}
    assert {row.claimed_identity for row in out} == {f"folder:{WRONG}"}


def test_the_certificate_says_who_why_and_how_near_the_rest_is(excluded: Excluded) -> None:
    threshold = excluded.answer["release"]["exclusion"]["threshold"]
    ties = {(row.how, row.identity, row.excluded_set) for row in excluded.certificate}
    assert {
        ("name", "folder:cast-crew", "benchmark"),
        ("face", "folder:priya-bellweather", "benchmark"),
        ("face", "folder:cassius-mwangaza", "excluded-bin"),
        ("photo", f"folder:{WRONG}", "benchmark"),
    } <= ties
    lost = sum(row.reason in {"excluded_name", "excluded_face"} for row in excluded.ledger)
    photos = {row.identity: row.photos for row in excluded.certificate if row.how in "name face"}
    assert sum(photos.values()) == lost
    remaining = [row for row in excluded.certificate if row.how == "remaining"]
    assert {row.excluded_set for row in remaining} == {"benchmark", "excluded-bin"}
    assert all(row.similarity is not None and row.similarity < threshold for row in remaining)
    assert all(
        row.similarity is not None and row.similarity >= threshold
        for row in excluded.certificate
        if row.how == "face"
    )


def test_the_version_is_whole_and_tells_of_it(winnow: Any, excluded: Excluded) -> None:
    folder = excluded.workspace / "versions/people-v0001"
    assert winnow("versions", "verify", "people-v0001", "-w", excluded.workspace).code == 0
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "exclusion.parquet" in manifest["files"]
    page = (folder / "report/index.html").read_text("utf-8")
    assert "Excluded sets" in page
    assert "Somebody Else" in page
    card = json.loads((folder / "croissant.json").read_text("utf-8"))
    assert any("benchmark" in line for line in card["rai:dataPreprocessingProtocol"])


def test_the_same_build_again_finds_everything(winnow: Any, excluded: Excluded) -> None:
    again = winnow("build", excluded.recipe, "-w", excluded.workspace, "--json").answer
    assert not again["release"]["is_new"]
    assert again["stages"]["exclude"]["resumed"]
    dry = winnow("build", excluded.recipe, "-w", excluded.workspace, "--dry-run")
    assert "source folder (folder): 54 images, 6 identities" in dry.out
    assert "exclude benchmark (folder): 5 images, 2 identities" in dry.out
    assert "exclude excluded-bin (bin): 1 files" in dry.out


def test_a_benchmark_without_a_face_stops_the_build(
    winnow: Any, write_recipe: Any, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty/Ann").mkdir(parents=True)
    (tmp_path / "empty/Ann/1.jpg").write_bytes(b"no image")
    recipe = write_recipe(photos, exclude=[{"name": "lfw", "folder": {"path": "empty"}}])
    done = winnow("build", recipe, "-w", tmp_path / "work", "--json")
    assert done.code == 2
    assert "winnow: exclude lfw: no face found in any of its 1 images" in done.err
    assert not (tmp_path / "work/versions").exists()
