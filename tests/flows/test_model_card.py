"""The card of a model says what was done, not what a later request asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from facedata.models import CurrentModel, write_current
from flows.lineage import note_start
from flows.model_card import write_card
from flows.training_job import TrainingJob, TrainingOptions, open_training
from training.run_state import RunState, plain

MODEL = "people-m0001"


@pytest.fixture
def job(tmp_path: Path, make_version: Callable[..., Any]) -> TrainingJob:
    """A run of eight steps whose pack is exported, and a request that came later."""
    make_version(tmp_path, {"Ada": 0, "Bea": 1}, images=4)
    asked = TrainingOptions(detector="demo")
    job = open_training("people-v0001", str(tmp_path), "demo_cpu", asked)
    note_start(job.config)
    state = RunState(
        step=8, version="people-v0001", digest=job.manifest.digest, classes=2, world_size=1,
        config=plain(job.config),
    )  # fmt: skip
    marker = "checkpoints/step-000000008/state.json"
    (job.output / marker).parent.mkdir(parents=True)
    (job.output / marker).write_text(json.dumps(asdict(state)))
    job.home.write(f"models/{MODEL}/rec.onnx", b"onnx")
    job.home.write(
        "training/people-v0001-demo_cpu/model.json",
        json.dumps({"model": MODEL, "detector": "demo"}).encode(),
    )
    later = replace(
        job.config,
        device="cuda",
        model=replace(job.config.model, weights=None, compile=True),
        evaluation=replace(job.config.evaluation, false_accept_rate=0.01),
    )
    return replace(job, config=later, base_name="other")


def card_of(job: TrainingJob) -> dict[str, Any]:
    card: dict[str, Any] = json.loads(job.home.read(f"models/{MODEL}/model_card.json"))
    return card


def test_it_is_the_run_s_own_configuration(job: TrainingJob) -> None:
    write_card(job, MODEL, [], [])

    card = card_of(job)
    assert (card["model"], card["steps"]) == (MODEL, 8)
    assert card["training"]["device"] == "cpu"
    assert card["training"]["model"]["compile"] is False
    assert card["training"]["evaluation"]["false_accept_rate"] == 0.01
    assert card["detector"] == "demo"
    assert card["start"]["weights"] == str(job.base / "rec.pt")
    readme = job.home.read(f"models/{MODEL}/README.md").decode()
    assert (
        f"- Training started from `{job.base}/rec.pt`, sha256 `{card['start']['sha256']}`" in readme
    )
    assert "device: cpu" in readme


def test_the_current_model_s_card_stays(job: TrainingJob) -> None:
    write_card(job, MODEL, [], [])
    card = card_of(job)
    current = CurrentModel(
        model=MODEL, version="people-v0001", digest="", false_accept_rate=0.1, tar={},
        promoted_at="",
    )  # fmt: skip
    write_current(job.home, "people", current)

    later = replace(job.config, evaluation=replace(job.config.evaluation, false_accept_rate=0.001))
    write_card(replace(job, config=later), MODEL, [], [])
    assert card_of(job) == card

    write_current(job.home, "people", replace(current, model="people-m0002"))
    write_card(replace(job, config=later), MODEL, [], [])
    assert card_of(job)["training"]["evaluation"]["false_accept_rate"] == 0.001
