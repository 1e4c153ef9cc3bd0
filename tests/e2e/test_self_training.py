"""Self-training through the command: clean, train, clean again with the model that was promoted."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.web import plan_web, write_web
from facedata.storage import Storage
from flows.self_training import ledger_change


@pytest.fixture
def training(tmp_path: Path) -> Callable[[bool], Path]:
    """``training(contrary)``: a recipe of four steps, with pairs of people in no version.

    Contrary pairs call different people the same: a pack that knows faces is worse there than one
    that has learned next to nothing, which is how a tiny run comes to be promoted.
    """
    held = tmp_path / "held"
    write_web(plan_web(505, 6, 5), held)
    photos = json.loads((held / "truth.json").read_text("utf-8"))["photos"]
    people = {path: said["subject"] for path, said in photos.items() if said["faces"]}

    def write(contrary: bool) -> Path:
        with (held / "site" / "pairs.csv").open("w", encoding="utf-8") as stream:
            rows = csv.writer(stream)
            rows.writerow(["image_a", "image_b", "same"])
            for first, second in itertools.combinations(sorted(people), 2):
                same = people[first] == people[second]
                rows.writerow([first, second, int(same is not contrary)])
        recipe = {
            "data": {"workers": 1},
            "model": {"backbone": "mobilefacenet", "embedding_size": 32},
            "optimiser": {"learning_rate": 0.02},
            "schedule": {"steps": 4},
            "global_batch": 4,
            "device": "cpu",
            "evaluation": {"sets": ["held/site/pairs.csv"], "false_accept_rate": 0.1},
        }
        path = tmp_path / ("contrary.yaml" if contrary else "tiny.yaml")
        path.write_text(yaml.safe_dump(recipe), "utf-8")
        return path

    return write


def test_rounds_go_on_only_with_a_promoted_model(
    winnow: Any, recipe: Path, training: Callable[[bool], Path], tmp_path: Path
) -> None:
    workspace = tmp_path / "work"
    common = ("selftrain", recipe, "-w", workspace, "--rounds", "2", "--processes", "1")

    refused = winnow(*common, "--training", training(False), "--json").answer
    (only,) = refused["rounds"]
    assert only["promotion"]["promoted"] is False
    assert only["promotion"]["before"] == "demo"
    assert refused["stopped"].startswith("people-m0001 was not promoted: mean TAR@FAR 0.1 over 1")
    assert "cleaned" not in only

    changed = winnow(*common, "--training", training(True), "--json").answer
    first = changed["rounds"][0]
    assert (first["version"], first["model"]) == ("people-v0001", "people-m0002")
    assert first["promotion"]["promoted"] is True
    assert first["cleaned"] == "people-v0002"
    assert first["changed"] > 0
    assert first["share"] == first["changed"] / first["images"]
    storage = Storage(workspace)
    assert ledger_change(storage, "people-v0001", "people-v0002")["changed"] == first["changed"]
    assert ledger_change(storage, "people-v0001", "people-v0001")["changed"] == 0
    manifest = json.loads((workspace / "versions/people-v0002/manifest.json").read_text())
    assert manifest["recipe"]["models"] == str(workspace / "models" / "people-m0002")
