"""Training from random weights: what minutes on two cores give on people it never saw.

Everything goes the way a user's data goes: photos are rendered, ``winnow build`` cleans and
releases them, ``winnow train`` trains by the recipe ``demo_cpu`` with two gloo processes on the
version's shards, exports a pack and measures it through the pack's detector, on all pairs of about
500 photos of 100 other people, three times (``demo.web``, seeds 901 to 903). ``tar`` is the mean of
the three TAR@FAR 1e-3, ``tar_least`` and ``tar_most`` bound them; ``tar_demo_pack`` is the mean of
the demo's own recogniser, which learned from 2,018 people and composed its pictures anew for each
step. A second run is killed (SIGKILL) at its first checkpoint after half of the steps and goes on
with one process: ``tar_resumed``. ``*_cpu_s`` is processor time of all processes of a step: on two
cores with nothing else to do, half of it passes.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, TypeVar

import numpy as np
import yaml

from demo.pairs import write_pairs
from demo.web import PhotoKind, Web, WebPerson, WebPhoto, plan_web
from demo.web_files import write_web
from training.config import to_yaml
from training.recipes import Target, demo_cpu

Result = TypeVar("Result")

_FIRST_PERSON = 3_000_000
"""Seeds of people that no demo, no test and no training of the pack uses."""
_UNSEEN_SEEDS, _UNSEEN_PEOPLE, _UNSEEN_PHOTOS = (901, 902, 903), 100, 5
_FAR = 1e-3
_BUILD = {
    "name": "crowd",
    "models": "demo",
    "sources": [{"folder": {"path": "web/site/photos"}}],
    "review": {"backend": "none"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How many people with how many photos each."""

    people: int
    photos: int


CASES = (Case(people=2000, photos=6),)


def run() -> list[dict[str, Any]]:
    """One row per case."""
    with tempfile.TemporaryDirectory() as folder:
        unseen = [_unseen(Path(folder) / f"unseen-{seed}", seed) for seed in _UNSEEN_SEEDS]
        return [_measure(case, Path(folder) / str(case.people), unseen) for case in CASES]


def _unseen(folder: Path, seed: int) -> Path:
    write_web(plan_web(seed, _UNSEEN_PEOPLE, _UNSEEN_PHOTOS), folder)
    return write_pairs(folder)


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


def _measure(case: Case, folder: Path, pairs: Sequence[Path]) -> dict[str, Any]:
    _, render = _timed(lambda: write_web(plan_crowd(case.people, case.photos), folder / "web"))
    build, train = folder / "build.yaml", folder / "train.yaml"
    build.write_text(yaml.safe_dump(_BUILD), "utf-8")
    train.write_text(yaml.safe_dump(_recipe(pairs)), "utf-8")
    built, clean = _timed(lambda: _winnow("build", build, "-w", folder / "work"))
    asked = ("train", "crowd-v0001", "-w", folder / "work", "--recipe", train)
    began = time.monotonic()
    trained, learn = _timed(lambda: _winnow(*asked, "--processes", 2))
    took = time.monotonic() - began
    tars = list(trained["promotion"]["tar"].values())
    resumed = _killed_and_resumed(asked, folder / "killed", trained["steps"])
    return {
        "people": case.people,
        "faces": built["stages"]["intra"]["kept"],
        "steps": trained["steps"],
        "render_cpu_s": render,
        "clean_cpu_s": clean,
        "train_cpu_s": learn,
        "train_wall_s": took,
        "tar": mean(tars),
        "tar_least": min(tars),
        "tar_most": max(tars),
        "tar_resumed": mean(resumed["promotion"]["tar"].values()),
        "tar_demo_pack": mean(trained["promotion"]["tar_before"].values()),
    }


def _killed_and_resumed(asked: Sequence[str | Path], output: Path, steps: int) -> dict[str, Any]:
    """Train again, with a kill half way, and to the end on one process."""
    asked = (*asked, "--output", output)
    running = subprocess.Popen(
        _command(*asked, "--processes", 2),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=_environment(),
    )
    while running.poll() is None and not _is_half_done(output, steps):
        time.sleep(1)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    return _winnow(*asked, "--processes", 1)


def _is_half_done(output: Path, steps: int) -> bool:
    saved = output.glob("training/*/checkpoints/step-*/state.json")
    return any(int(state.parent.name.removeprefix("step-")) >= steps / 2 for state in saved)


def _recipe(pairs: Sequence[Path]) -> dict[str, Any]:
    target = Target(workspace="-", version="-", output="-")
    recipe: dict[str, Any] = yaml.safe_load(to_yaml(demo_cpu(target)))
    # What the command gives.
    del recipe["output"], recipe["data"]["workspace"], recipe["data"]["version"]
    return recipe | {
        "evaluation": {"sets": [str(path) for path in pairs], "false_accept_rate": _FAR}
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
    command = _command(*arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _command(*arguments: str | Path | int) -> list[str]:
    return [str(Path(sys.executable).with_name("winnow")), *map(str, arguments), "--json"]


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}
