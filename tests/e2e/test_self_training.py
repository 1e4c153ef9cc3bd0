"""Self-training through the command: clean, train, clean again with the model that was promoted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from demo.pairs import PAIRS, write_pairs
from demo.web import plan_web
from demo.web_files import write_web

NOISE = 0.7


@pytest.fixture
def weak(weaken: Callable[[float], Path]) -> Path:
    """A pack that leaves much to learn."""
    return weaken(NOISE)


@pytest.fixture
def training(tmp_path: Path) -> Callable[[str, Path | None, float], Path]:
    """``training(name, weights, rate)``: sixteen steps, measured on people in no version."""
    held = tmp_path / "held"
    write_web(plan_web(505, 30, 5), held)
    write_pairs(held)

    def write(name: str, weights: Path | None, rate: float) -> Path:
        recipe = {
            "data": {"workers": 1},
            "model": {
                "backbone": "micro",
                "embedding_size": 128,
                "weights": None if weights is None else str(weights),
            },
            "class_layer": {"margin": {"name": "cosface", "cosine": 0.2, "scale": 32.0}},
            "optimiser": {"name": "adamw", "learning_rate": rate, "weight_decay": 0.05},
            "schedule": {"steps": 16},
            "global_batch": 32,
            "device": "cpu",
            "evaluation": {"sets": [f"held/{PAIRS}"], "false_accept_rate": 0.01},
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe), "utf-8")
        return path

    return write


def test_rounds_go_on_only_with_a_promoted_model(
    winnow: Any,
    photos: Path,
    write_recipe: Callable[..., Path],
    weak: Path,
    training: Callable[[str, Path | None, float], Path],
    tmp_path: Path,
) -> None:
    """Promoted is what knows people better than the pack that cleaned, and nothing else."""
    workspace = tmp_path / "work"
    (tmp_path / "weak").symlink_to(weak)
    recipe = write_recipe(photos, models="./weak")
    common = ("selftrain", recipe, "-w", workspace, "--rounds", "1", "--processes", "1", "--json")

    refused = winnow(*common, "--training", training("from-nothing", None, 1e-3)).answer
    (only,) = refused["rounds"]
    assert only["promotion"]["promoted"] is False
    assert refused["stopped"].startswith("people-m0001 was not promoted: mean TAR@FAR 0.01 over 1")
    assert "cleaned" not in only

    going_on = training("going-on", weak, 2e-4)
    changed = winnow(*common, "--training", going_on).answer
    (first,) = changed["rounds"]
    assert (first["version"], first["model"]) == ("people-v0001", "people-m0002")
    assert first["promotion"]["promoted"] is True
    assert (first["cleaned"], changed["version"]) == ("people-v0002", "people-v0002")
    assert changed["stopped"] == "after 1 round, as asked"
    before, after = (fates(workspace, version) for version in ("people-v0001", "people-v0002"))
    assert before.keys() == after.keys()
    assert first["images"] == len(before)
    assert first["changed"] == sum(before[image] != after[image] for image in before)
    manifest = json.loads((workspace / "versions/people-v0002/manifest.json").read_text())
    assert manifest["recipe"]["models"] == str(workspace / "models" / "people-m0002")

    again = winnow(*common, "--training", going_on).answer
    assert (again["rounds"][0]["version"], again["rounds"][0]["model"]) == (
        "people-v0002",
        "people-m0003",
    )
    card = json.loads((workspace / "models" / "people-m0003" / "model_card.json").read_text())
    assert card["detector"] == str(workspace / "models" / "people-m0002")


def fates(workspace: Path, version: str) -> dict[str, tuple[str | None, str]]:
    """Identity and outcome of every photo."""
    rows = pq.read_table(workspace / "versions" / version / "ledger.parquet").to_pylist()
    return {row["source_uri"]: (row["identity"], row["outcome"]) for row in rows}
