"""Training on the demo's shards makes a recogniser better on people it never saw.

Learning faces from nothing takes a quarter of an hour of two cores (benchmarks/demo_training.py
measures it), so training starts from the demo's recogniser with noise in all its weights here; from
random weights it must only become much better than these.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.pairs import PAIRS, write_pairs
from demo.web import plan_web
from demo.web_files import write_web
from training.config import to_yaml
from training.recipes import Target, demo_cpu

DEMO_SEED, UNSEEN_SEED = 7, 901
PEOPLE, PHOTOS_EACH = 100, 6
UNSEEN_PEOPLE, UNSEEN_PHOTOS = 100, 5
FALSE_ACCEPT_RATE = 1e-3
NOISE = 0.35
WITHIN_NOISE = 0.02

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def weak(weaken: Callable[[float], Path]) -> Path:
    """A pack that tells people apart less well than the demo's."""
    return weaken(NOISE)


@pytest.fixture(scope="module")
def released(winnow: Any, weak: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the version that the weak pack makes of the demo's photos."""
    folder = tmp_path_factory.mktemp("demo")
    write_web(plan_web(DEMO_SEED, PEOPLE, PHOTOS_EACH), folder / "web")
    recipe = {
        "name": "demo",
        "models": str(weak),
        "sources": [{"folder": {"path": "web/site/photos"}}],
        "review": {"backend": "none"},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    winnow("build", folder / "recipe.yaml", "-w", folder / "work", "--json").answer  # noqa: B018
    return folder / "work"


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """``training(name, weights, **keys)``: the demo's training recipe with other keys, measured on
    every pair of photos of people it never saw."""
    folder = tmp_path_factory.mktemp("training")
    write_web(plan_web(UNSEEN_SEED, UNSEEN_PEOPLE, UNSEEN_PHOTOS), folder)
    write_pairs(folder)

    def write(name: str, weights: Path | None, **keys: Any) -> Path:
        start = None if weights is None else str(weights)
        config = demo_cpu(Target(workspace="-", version="-", output="-", weights=start))
        recipe = yaml.safe_load(to_yaml(config))
        del recipe["output"], recipe["data"]["workspace"], recipe["data"]["version"]
        recipe["evaluation"] = {
            "sets": [PAIRS],
            "false_accept_rate": FALSE_ACCEPT_RATE,
        }
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe | keys))
        return path

    return write


def tar(answer: dict[str, Any]) -> float:
    """True accept rate at the declared false accept rate, as a command reports it."""
    (report,) = answer["evaluation"] if "evaluation" in answer else answer["sets"]
    return float(report["tar_at_far"][f"{FALSE_ACCEPT_RATE:g}"]["tar"])


Measure = Callable[[Path], float]


@pytest.fixture
def measure(winnow: Any, training: Write) -> Measure:
    """``measure(pack)``: what the trained models are measured by, for any pack."""
    pairs = training("any", None).parent / PAIRS
    return lambda pack: tar(winnow("evaluate", pack, "--pairs", pairs, "--json").answer)


def test_unseen_people_are_told_apart_also_after_a_kill(
    winnow: Any,
    wait_for: Callable[..., None],
    released: Path,
    weak: Path,
    measure: Measure,
    training: Write,
    tmp_path: Path,
) -> None:
    recipe = training(
        "going-on",
        weak,
        optimiser={"name": "adamw", "learning_rate": 1e-4, "weight_decay": 0.05},
        checkpoint={"every": 8},
    )
    asked = ("train", "demo-v0001", "-w", released, "--recipe", recipe, "--json")
    whole = winnow(*asked, "--output", tmp_path / "whole", "--processes", "2").answer
    assert measure(weak) < 0.94
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


def test_from_random_weights_it_learns(
    winnow: Any, released: Path, training: Write, tmp_path: Path
) -> None:
    reached = {}
    for name, steps in (("one-step", 1), ("many-steps", 100)):
        recipe = training(name, None, schedule={"steps": steps, "power": 1.0})
        asked = ("train", "demo-v0001", "-w", released, "--recipe", recipe, "--processes", "2")
        reached[name] = tar(winnow(*asked, "--output", tmp_path / name, "--json").answer)
    assert reached["many-steps"] > 1.5 * reached["one-step"]
