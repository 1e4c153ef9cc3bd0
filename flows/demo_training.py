"""``winnow demo --train``: a model trained on what the demo cleaned, judged, and cleaning again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from demo.pairs import PAIRS, write_pairs
from demo.web import plan_web
from demo.web_files import write_web
from flows.job import pack_location
from flows.self_training import SelfTraining, self_train, self_training_lines
from training.config import to_yaml
from training.recipes import Target, demo_cpu

Answer = dict[str, Any]

_UNSEEN = "unseen"
_UNSEEN_SEED = 900
"""Added to the demo's seed: people that are on no page of its site."""
_UNSEEN_PEOPLE, _UNSEEN_PHOTOS = 100, 5
"""So many that one pair of look-alikes does not decide the false accept rate."""
_ROUNDS = 2


def train_demo(recipe: str, workspace: Path, seed: int) -> Answer:
    """Train, clean again if the model is better on unseen people, and say what came of it.

    Raises:
        WinnowError: as a build and a training run do.
    """
    training = _write_training(workspace, seed)
    return self_train(
        SelfTraining(
            recipe=recipe, workspace=str(workspace), training=str(training), rounds=_ROUNDS
        )
    )


def training_lines(result: Answer) -> list[str]:
    """What the training came to, for people."""
    return ["trained   on the demo's own version, judged on people it never saw"] + [
        f"          {line}" for line in self_training_lines(result)
    ]


def _write_training(workspace: Path, seed: int) -> Path:
    """The recipe ``demo_cpu``, judged on rendered people of another seed."""
    unseen = workspace / _UNSEEN
    if not (unseen / PAIRS).exists():
        write_web(plan_web(seed + _UNSEEN_SEED, _UNSEEN_PEOPLE, _UNSEEN_PHOTOS), unseen)
        write_pairs(unseen)
    target = Target(workspace="-", version="-", output="-", weights=str(pack_location("demo")))
    recipe = yaml.safe_load(to_yaml(demo_cpu(target)))
    # The run's own: what it trains on and where it writes.
    del recipe["output"], recipe["data"]["workspace"], recipe["data"]["version"]
    recipe["evaluation"]["sets"] = [f"{_UNSEEN}/{PAIRS}"]
    path = workspace / "training.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), "utf-8")
    return path
