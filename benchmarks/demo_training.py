"""Training from random weights: how far a few minutes get on people it never saw.

Everything goes the way a user's data goes: photos are rendered, ``winnow build`` cleans and
releases them, ``winnow train`` trains with two gloo processes on the version's shards, exports a
pack and measures it on all pairs of 508 photos of 100 other people (``demo.web``, seed 901),
through the pack's detector. ``tar`` is TAR@FAR 1e-3 there, ``tar_demo_pack`` that of the demo's own
recogniser, which learned from 2,018 people and composed its pictures anew for each step.
``*_cpu_s`` is processor time of all processes of a step: on two cores with nothing else to do, half
of it passes.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from demo.pairs import PAIRS, write_pairs
from demo.web import PhotoKind, Web, WebPerson, WebPhoto, plan_web
from demo.web_files import write_web

Result = TypeVar("Result")

_FIRST_PERSON = 3_000_000
"""Seeds of people that no demo, no test and no training of the pack uses."""
_UNSEEN_SEED, _UNSEEN_PEOPLE, _UNSEEN_PHOTOS = 901, 100, 5
_FAR = 1e-3
_AUGMENT = {"downscale": 0.1, "blur": 0.1, "jpeg": 0.1, "grey": 0.05}
_BUILD = {
    "name": "crowd",
    "models": "demo",
    "sources": [{"folder": {"path": "web/site/photos"}}],
    "review": {"backend": "none"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How many people with how many photos each, and how often each photo is trained on."""

    people: int
    photos: int
    epochs: float


CASES = (Case(people=772, photos=6, epochs=40.0),)


def run() -> list[dict[str, Any]]:
    """One row per case."""
    with tempfile.TemporaryDirectory() as folder:
        unseen = Path(folder) / "unseen"
        write_web(plan_web(_UNSEEN_SEED, _UNSEEN_PEOPLE, _UNSEEN_PHOTOS), unseen)
        write_pairs(unseen)
        return [_measure(case, Path(folder) / str(case.people), unseen / PAIRS) for case in CASES]


def plan_crowd(people: int, photos: int) -> Web:
    """People under their own names, alone in every photo: nothing to clean."""
    return Web(
        seed=_FIRST_PERSON,
        people=tuple(_person(_FIRST_PERSON + index, photos) for index in range(people)),
        same_person=(),
        look_alikes=(),
    )


def _person(seed: int, photos: int) -> WebPerson:
    slug = f"person-{seed}"
    rng = np.random.default_rng((0xC20D, seed))
    taken = (
        WebPhoto(
            path=f"photos/{slug}/{number:03d}.jpg",
            kind=PhotoKind.GENUINE,
            cast=(f"p{seed}",),
            photo_seed=int(rng.integers(2**31)),
        )
        for number in range(photos)
    )
    return WebPerson(name=f"Person {seed}", slug=slug, person_id=f"p{seed}", photos=tuple(taken))


def _measure(case: Case, folder: Path, pairs: Path) -> dict[str, Any]:
    _, render = _timed(lambda: write_web(plan_crowd(case.people, case.photos), folder / "web"))
    build, train = folder / "build.yaml", folder / "train.yaml"
    build.write_text(yaml.safe_dump(_BUILD), "utf-8")
    train.write_text(yaml.safe_dump(_recipe(case, pairs)), "utf-8")
    built, clean = _timed(lambda: _winnow("build", build, "-w", folder / "work"))
    asked = ("train", "crowd-v0001", "-w", folder / "work", "--recipe", train)
    began = time.monotonic()
    trained, learn = _timed(lambda: _winnow(*asked, "--processes", 2))
    return {
        "people": case.people,
        "faces": built["stages"]["intra"]["kept"],
        "epochs": case.epochs,
        "steps": trained["steps"],
        "render_cpu_s": render,
        "clean_cpu_s": clean,
        "train_cpu_s": learn,
        "train_wall_s": time.monotonic() - began,
        "tar": _only(trained["promotion"]["tar"]),
        "tar_demo_pack": _only(trained["promotion"]["tar_before"]),
    }


def _only(values: dict[str, float]) -> float:
    (value,) = values.values()
    return value


def _recipe(case: Case, pairs: Path) -> dict[str, Any]:
    return {
        "device": "cpu",
        "data": {"workers": 1, "augment": _AUGMENT},
        "model": {"backbone": "micro", "embedding_size": 128},
        "class_layer": {"margin": {"name": "cosface", "cosine": 0.2, "scale": 32.0}},
        "optimiser": {"name": "adamw", "learning_rate": 3e-3, "weight_decay": 0.05},
        "schedule": {"epochs": case.epochs, "warmup_epochs": 1.0, "power": 1.0},
        "global_batch": 128,
        "precision": "bfloat16",
        "checkpoint": {"every": 200},
        "evaluation": {"sets": [str(pairs)], "false_accept_rate": _FAR},
    }


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """What ``work`` gives, and the processor time of this process and those that it ran."""
    before = _processor_time()
    result = work()
    return result, _processor_time() - before


def _processor_time() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _winnow(*arguments: str | Path | int) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("winnow")), *map(str, arguments), "--json"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
