"""Training on the demo's shards tells unseen rendered people apart, also when it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import demo
from demo.pairs import write_pairs
from demo.web import plan_web, write_web
from training.config import to_yaml
from training.recipes import Target, demo_cpu

DEMO_SEED, UNSEEN_SEED = 7, 901
PEOPLE, PHOTOS_EACH = 24, 16
UNSEEN_PEOPLE, UNSEEN_PHOTOS = 100, 5
FALSE_ACCEPT_RATE = 1e-3
WITHIN_NOISE = 0.02


@pytest.fixture(scope="module")
def released(winnow: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the version that the demo's photos make."""
    folder = tmp_path_factory.mktemp("demo")
    write_web(plan_web(DEMO_SEED, PEOPLE, PHOTOS_EACH), folder / "web")
    recipe = {
        "name": "demo",
        "models": "demo",
        "sources": [{"folder": {"path": "web/site/photos"}}],
        "review": {"backend": "none"},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    winnow("build", folder / "recipe.yaml", "-w", folder / "work", "--json").answer  # noqa: B018
    return folder / "work"


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's training recipe, measured on every pair of photos of people it never saw."""
    folder = tmp_path_factory.mktemp("training")
    write_web(plan_web(UNSEEN_SEED, UNSEEN_PEOPLE, UNSEEN_PHOTOS), folder)
    write_pairs(folder)
    weights = str(Path(demo.__file__).parent / "pack")
    config = demo_cpu(Target(workspace="-", version="-", output="-", weights=weights))
    recipe = yaml.safe_load(to_yaml(config))
    del recipe["output"], recipe["data"]["workspace"], recipe["data"]["version"]
    recipe["evaluation"] = {
        "sets": ["site/pairs.csv"],
        "false_accept_rate": FALSE_ACCEPT_RATE,
    }
    recipe["checkpoint"]["every"] = 4
    path = folder / "demo.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def tar(answer: dict[str, Any]) -> float:
    """True accept rate at the declared false accept rate, as the command reports it."""
    (report,) = answer["evaluation"]
    return float(report["tar_at_far"][f"{FALSE_ACCEPT_RATE:g}"]["tar"])


def test_unseen_people_are_told_apart_also_after_a_kill(
    winnow: Any, wait_for: Callable[..., None], released: Path, training: Path, tmp_path: Path
) -> None:
    asked = ("train", "demo-v0001", "-w", released, "--recipe", training, "--json")
    whole = winnow(*asked, "--output", tmp_path / "whole", "--processes", "2").answer
    assert tar(whole) >= 0.95

    killed = tmp_path / "killed"
    command = [winnow.command, *map(str, asked), "--output", str(killed), "--processes", "2"]
    running = subprocess.Popen(
        command,
        env=winnow.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(lambda: any(killed.glob("training/*/checkpoints/*/*")), "a checkpoint", 300)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    resumed = winnow(*asked, "--output", killed, "--processes", "1").answer
    assert resumed["steps"] == whole["steps"]
    assert abs(tar(resumed) - tar(whole)) <= WITHIN_NOISE
