"""Training end to end from the shards of a released version: pace and memory of the real loop.

Drawn crops are released through the project's own shard writer and manifest, and torchrun starts
``training.run`` on them, as ``winnow train`` does: recipe ``glint360k_r50`` (CosFace 0.4, SGD with
momentum, bfloat16), one process a GPU with 128 images each, 20,000 crops spread over 360,000
classes, 200 steps. A row changes one thing: ``decode``, ``compile`` or ``channels_last``. Without a
GPU the same recipe trains the small backbones: two processes of one thread, 16 images each, 2,000
crops and classes, 20 steps.

``samples_per_s`` is the median of the loop's own lines of progress (``images_per_second``, every
tenth of the run) without the first two; ``step_ms`` follows from it. ``peak_mb`` is the loop's too:
the most that rank 0 had allocated on its GPU, on a CPU its resident memory. Without a GPU the
machine's cores are shared by the training processes and those that read for them.

The loop does not time its waits. ``read_per_s`` is what one process's reader gives, with the
row's workers and decoding and nothing trained: ``read_share`` is what the training of one process
takes of that. Near 1 it waits for its data; well below, the reader keeps ahead.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Literal

import cv2
import numpy as np
import torch

from cleaning.export.samples import Sample
from cleaning.export.shards import ShardConfig, write_shards
from facedata.storage import Storage
from facedata.versions import CANDIDATES, LEDGER, Manifest, ShardEntry, content_digest
from training.config import (
    CheckpointConfig,
    LoggingConfig,
    ScheduleConfig,
    TrainingConfig,
    to_yaml,
)
from training.data.loader import Share, batches, on_device
from training.log import PROGRESS
from training.prepare import prepare
from training.recipes import Target, recipe
from training.run import build_configured
from training.run_state import OUTCOME
from training.world import joined_world

_RECIPE, _VERSION = "glint360k_r50", "drawn-v0001"
_LINES, _FIRST_LINES = 10, 2
_READER_WARM_UP = 0.2  # of its batches; workers start, and the queue fills
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is trained."""

    backbone: str
    decode: Literal["cpu", "gpu"] = "cpu"
    compile: bool = False
    channels_last: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """On what, and how much: ``batch`` images of each process in every step."""

    device: Literal["cpu", "cuda"]
    processes: int
    batch: int
    steps: int
    crops: int
    classes: int
    workers: int


ON_CPU = (Case(backbone="micro"), Case(backbone="mobilefacenet"))
ON_GPU = (
    Case(backbone="iresnet50"),
    Case(backbone="iresnet50", channels_last=False),
    Case(backbone="iresnet50", compile=True),
    Case(backbone="iresnet50", decode="gpu"),
    Case(backbone="iresnet50", decode="gpu", compile=True),
)
_SMALL = Setting(
    device="cpu", processes=2, batch=16, steps=20, crops=2_000, classes=2_000, workers=1
)


def run() -> list[dict[str, Any]]:
    """One row per case."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    setting = _on_gpus(gpus) if gpus else _SMALL
    with tempfile.TemporaryDirectory() as folder:
        release(Path(folder), setting.crops, setting.classes)
        return [measure(case, setting, Path(folder)) for case in (ON_GPU if gpus else ON_CPU)]


def _on_gpus(gpus: int) -> Setting:
    return Setting(
        device="cuda",
        processes=gpus,
        batch=128,
        steps=200,
        crops=20_000,
        classes=360_000,
        workers=8,
    )


def release(workspace: Path, crops: int, classes: int) -> None:
    """Release drawn crops as a version; their classes are spread evenly over ``classes``."""
    storage = Storage(workspace)
    written = write_shards(
        _samples(crops, classes),
        ShardConfig(max_images=1000),
        lambda name: storage.open_write(f"versions/{_VERSION}/{name}"),
    )
    shards = tuple(
        ShardEntry(path=one.name, images=one.images, size_bytes=one.size_bytes, sha256=one.sha256)
        for one in written
    )
    manifest = Manifest(
        version=_VERSION,
        parent=None,
        digest="",
        recipe={},
        recipe_digest="",
        code_version="0",
        models={},
        counts={},
        shards=shards,
        files={LEDGER: "", CANDIDATES: ""},
        identities={f"person-{index:06d}": index for index in range(classes)},
        retired={},
    )
    digest = content_digest(shards, manifest.files, manifest.identities, manifest.models)
    text = replace(manifest, digest=digest).to_json()
    storage.write(f"versions/{_VERSION}/manifest.json", text)


def _samples(crops: int, classes: int) -> Iterator[Sample]:
    for number in range(crops):
        index = number * classes // crops
        yield Sample(
            key=f"{number:08d}",
            crop=_draw(number),
            class_index=index,
            facts={"identity": f"person-{index:06d}"},
        )


def _draw(number: int) -> bytes:
    """A crop as PNG: soft patches under noise, so that it compresses about as a face does."""
    rng = np.random.default_rng(number)
    patches = rng.integers(0, 256, (4, 4, 3)).astype(np.float32)
    picture = cv2.resize(patches, (112, 112), interpolation=cv2.INTER_CUBIC)
    picture += cv2.resize(rng.normal(0, 25, (28, 28, 3)).astype(np.float32), (112, 112))
    _, encoded = cv2.imencode(".png", np.clip(picture, 0, 255).astype(np.uint8))
    return bytes(encoded)


def measure(case: Case, setting: Setting, workspace: Path) -> dict[str, Any]:
    """The row of a case; one that cannot be trained here says why in ``reason``."""
    row: dict[str, Any] = {
        "backbone": case.backbone,
        "decode": case.decode,
        "compile": case.compile,
        "channels_last": case.channels_last,
        "device": torch.cuda.get_device_name() if setting.device == "cuda" else "CPU",
        "processes": setting.processes,
        "batch": setting.batch,
    }
    with tempfile.TemporaryDirectory(dir=workspace) as folder:
        config = configured(case, setting, workspace, Path(folder) / "run")
        reason = _train(config, setting, Path(folder) / "config.yaml")
        if reason is not None:
            return row | {"reason": reason}
        lines = (Path(config.output) / PROGRESS).read_text().splitlines()
        reader = replace(config, output=str(Path(folder) / "reader"))
        return row | {"reason": None} | _figures(lines, setting, _read_pace_apart(reader, setting))


def configured(case: Case, setting: Setting, workspace: Path, output: Path) -> TrainingConfig:
    """The recipe, with what the case and the machine change in it."""
    target = Target(workspace=str(workspace), version=_VERSION, output=str(output))
    base = recipe(_RECIPE, target)
    return replace(
        base,
        # Not every class has an image, and a check would find that out.
        data=replace(base.data, verify=False, decode=case.decode, workers=setting.workers),
        model=replace(
            base.model,
            backbone=case.backbone,
            compile=case.compile,
            channels_last=case.channels_last,
        ),
        schedule=ScheduleConfig(steps=setting.steps),
        global_batch=setting.batch * setting.processes,
        device=setting.device,
        logging=LoggingConfig(every=max(1, setting.steps // _LINES), tensorboard=False),
        checkpoint=CheckpointConfig(every=setting.steps, keep=1),
    )


def _train(config: TrainingConfig, setting: Setting, path: Path) -> str | None:
    """Train as torchrun does; None, or why it failed."""
    path.write_text(to_yaml(config), "utf-8")
    launcher = ("-m", "torch.distributed.run", "--standalone")
    processes = ("--nproc-per-node", str(setting.processes))
    command = [sys.executable, *launcher, *processes, "-m", "training.run", "--config", str(path)]
    done = subprocess.run(
        command, cwd=_ROOT, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return None
    outcome = Path(config.output) / OUTCOME
    if outcome.exists():
        return f"{json.loads(outcome.read_text())['message']:.200}"
    return f"{' '.join(done.stderr.split())[-200:]}"


def _figures(lines: list[str], setting: Setting, read: float) -> dict[str, float]:
    told = [json.loads(line) for line in lines]
    pace = median(line["images_per_second"] for line in told[_FIRST_LINES:])
    return {
        "samples_per_s": pace,
        "step_ms": setting.batch * setting.processes / pace * 1e3,
        "peak_mb": told[-1]["memory_mb"],
        "read_per_s": read,
        "read_share": pace / setting.processes / read,
    }


def _read_pace_apart(config: TrainingConfig, setting: Setting) -> float:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(read_pace, config, setting).result()


def read_pace(config: TrainingConfig, setting: Setting) -> float:
    """Images a second that one process reads and decodes to its device, in this process."""
    torch.set_num_threads(1)
    share = Share(global_batch=setting.batch, rank=0, world_size=1)
    first = max(1, int(setting.steps * _READER_WARM_UP))
    with joined_world(config.device) as world:
        prepared = prepare(config, world, build_configured)
        arriving = batches(
            prepared.dataset, prepared.loader, share, position=0, steps=setting.steps
        )
        started = time.perf_counter()
        for number, batch in enumerate(arriving):
            if number == first:
                started = _now(world.device)
            on_device(batch, world.device)
        seconds = _now(world.device) - started
        prepared.dataset.store.close()
    return (setting.steps - first) * setting.batch / seconds


def _now(device: torch.device) -> float:
    """The time, when the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}
