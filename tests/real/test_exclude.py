"""Two public sets with four people in common: found by face, and kept out in both directions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from facedata.exclusion import ExclusionRow
from facedata.names import name_key
from facedata.records import LedgerRow
from facedata.review import CandidateRow
from facedata.storage import Storage

SHARED = Path(os.environ.get("WINNOW_SHARED", Path(__file__).parents[3] / "shared"))
pytestmark = pytest.mark.skipif(
    not (SHARED / "data/lfw").is_dir(), reason=f"real photos are not at {SHARED}"
)
RAW = {"name": "raw", "folder": {"path": str(SHARED / "data/lfw")}}
ALIGNED = {"name": "aligned", "folder": {"path": str(SHARED / "data/aligned112")}, "aligned": True}
OWN = {"identities": "own"}

Build = Callable[..., tuple[dict[str, Any], Storage, str]]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds recipes in one workspace: a set is measured once for all of them."""
    folder = tmp_path_factory.mktemp("sets")

    def run(name: str, **keys: Any) -> tuple[dict[str, Any], Storage, str]:
        recipe = {
            "name": name,
            "models": str(SHARED / "models/buffalo_sc"),
            "review": {"backend": "none"},
        }
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(recipe | keys))
        command = [sys.executable, "-m", "flows.cli", "build", f"{name}.yaml", "-w", "work"]
        done = subprocess.run(
            [*command, "--json"], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        release = json.loads(done.stdout)["release"]
        return release, Storage(folder / "work"), f"versions/{release['version']}"

    return run


@pytest.fixture(scope="module")
def in_both() -> dict[str, tuple[str, str]]:
    """Folders of the people who are in both sets under one name, the raw set's first."""
    names = [
        {name_key(folder.name): folder.name for folder in (SHARED / "data" / data).iterdir()}
        for data in ("lfw", "aligned112")
    ]
    return {str(key): (names[0][key], names[1][key]) for key in names[0].keys() & names[1].keys()}


def test_the_people_of_both_sets_are_candidates_by_face_and_none_is_missed(
    build: Build, in_both: dict[str, tuple[str, str]]
) -> None:
    release, storage, version = build("both", sources=[RAW | OWN, ALIGNED | OWN])
    rows = storage.read_records(f"{version}/candidates.parquet", CandidateRow)
    across = {
        (row.identity_b.removeprefix("raw:"), row.identity_a.removeprefix("aligned:"))
        for row in rows
        if row.identity_a.startswith("aligned:") and row.identity_b.startswith("raw:")
    }
    assert len(in_both) == 4
    # All of them, and nobody else of the two sets.
    assert across == set(in_both.values())
    assert release["counts"]["kept"] >= 0.98 * release["counts"]["images"]


@pytest.mark.parametrize(("ours", "theirs"), [(RAW, ALIGNED), (ALIGNED, RAW)])
@pytest.mark.parametrize("by_name", [True, False])
def test_one_set_excluded_from_the_other_leaves_nobody(
    build: Build,
    in_both: dict[str, tuple[str, str]],
    ours: dict[str, Any],
    theirs: dict[str, Any],
    by_name: bool,
) -> None:
    names = {} if by_name else OWN
    name = f"{ours['name']}-{'names' if by_name else 'faces'}"
    release, storage, version = build(name, sources=[ours], exclude=[theirs | names])
    expected = {folders[ours is ALIGNED] for folders in in_both.values()}

    certificate = storage.read_records(f"{version}/exclusion.parquet", ExclusionRow)
    by_face = {row.identity for row in certificate if row.how == "face"}
    assert by_face == expected
    assert {row.identity for row in certificate if row.how == "name"} == (
        expected if by_name else set()
    )
    ledger = storage.read_records(f"{version}/ledger.parquet", LedgerRow)
    assert not expected & {row.identity for row in ledger}
    out = {row.claimed_identity for row in ledger if row.reason.startswith("excluded")}
    assert out == expected

    (remaining,) = [row for row in certificate if row.how == "remaining"]
    assert remaining.similarity is not None
    # Strangers at their most alike, well below the least alike of those who were found.
    assert remaining.similarity < release["exclusion"]["threshold"]
    least = min(row.similarity or 0.0 for row in certificate if row.how == "face")
    assert least - remaining.similarity > 0.2
