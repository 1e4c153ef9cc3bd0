"""The two training loops: the detector on composed scenes, the recogniser on composed faces."""

from __future__ import annotations

import copy
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from training.backbones import Backbone
from training.demo_pack.detector import Detector
from training.demo_pack.recogniser import Centres, new_recogniser
from training.demo_pack.renders import SIDE, Floats, Image, Renders, compose_face, compose_scene
from training.demo_pack.targets import detection_loss, make_batch, make_grid
from training.margins import FeatureNorms, MarginConfig, margin_logits

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast to learn; the rate rises, then falls as a cosine."""

    steps: int
    batch: int
    rate: float
    seed: int = 0
    workers: int = 1

    def rate_at(self, step: int) -> float:
        """Return the learning rate at a step."""
        warm = min(1.0, (step + 1) / max(1, self.steps // 25))
        return self.rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / self.steps)) + 1e-6


class _Average(Generic[Model]):
    """A running mean of the weights, which is what gets exported."""

    def __init__(self, model: Model, keep: float) -> None:
        self.model: Model = copy.deepcopy(model).eval()
        self._keep = keep

    def update(self, model: nn.Module, step: int) -> None:
        keep = min(self._keep, (step + 1) / (step + 10))
        with torch.no_grad():
            mine = self.model.state_dict()
            for name, value in model.state_dict().items():
                if value.dtype.is_floating_point:
                    mine[name].lerp_(value, 1 - keep)
                else:
                    mine[name].copy_(value)


class _Scenes(IterableDataset[tuple[Image, Floats]]):
    def __init__(self, renders: Renders, schedule: Schedule) -> None:
        self._renders, self._schedule = renders, schedule

    def __iter__(self) -> Iterator[tuple[Image, Floats]]:
        rng = _worker_rng(self._schedule.seed)
        while True:
            yield compose_scene(self._renders, rng)


class _Faces(IterableDataset[tuple[Image, int]]):
    def __init__(self, renders: Renders, schedule: Schedule, jitter: float) -> None:
        self._renders, self._schedule, self._jitter = renders, schedule, jitter

    def __iter__(self) -> Iterator[tuple[Image, int]]:
        rng = _worker_rng(self._schedule.seed + 1)
        while True:
            index = int(rng.integers(len(self._renders.labels)))
            jitter = self._jitter * float(rng.uniform(0.2, 1.6))
            face = compose_face(self._renders, index, rng, jitter)
            yield face, int(self._renders.labels[index])


def _worker_rng(seed: int) -> np.random.Generator:
    cv2.setNumThreads(1)
    info = torch.utils.data.get_worker_info()
    return np.random.default_rng((0x7124, seed, info.id if info else 0))


def _scene_batch(rows: list[tuple[Image, Floats]]) -> tuple[torch.Tensor, list[Floats]]:
    return _pixels([picture for picture, _ in rows]), [faces for _, faces in rows]


def _face_batch(rows: list[tuple[Image, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    return _pixels([face for face, _ in rows]), torch.tensor([label for _, label in rows])


def _pixels(pictures: list[Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def fit_detector(
    renders: Renders, schedule: Schedule, *, start: Detector | None = None
) -> Detector:
    """Train a detector and return its averaged weights, in evaluation mode.

    ``start`` gives weights to go on from.
    """
    torch.manual_seed(schedule.seed)
    model = _channels_last(Detector() if start is None else start).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.rate, weight_decay=1e-3)
    average, grid = _Average(model, 0.998), make_grid(SIDE)
    loader = DataLoader(_Scenes(renders, schedule), schedule.batch, collate_fn=_scene_batch,
                        num_workers=schedule.workers, prefetch_factor=4)  # fmt: skip
    began = time.monotonic()
    for step, (pixels, faces) in zip(range(schedule.steps), loader, strict=False):
        _set_rate(optimizer, schedule.rate_at(step))
        pixels = (pixels.float() - 127.5) / 128
        outputs = model(pixels.contiguous(memory_format=torch.channels_last))
        loss, parts = detection_loss(outputs, make_batch(faces, grid))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        average.update(model, step)
        if step % 50 == 0:
            _log("detector", step, began, parts)
    return average.model


def fit_recogniser(
    renders: Renders, schedule: Schedule, *, jitter: float, start: Backbone | None = None
) -> Backbone:
    """Train a recogniser with ArcFace and return its averaged weights, in evaluation mode.

    ``jitter`` is the landmark error to bear, in pixels of the 112-pixel crop; ``start`` gives
    weights to go on from.
    """
    torch.manual_seed(schedule.seed)
    model = _channels_last(new_recogniser() if start is None else start).train()
    centres = Centres(int(renders.labels.max()) + 1)
    learnt = [*model.parameters(), *centres.parameters()]
    optimizer = torch.optim.SGD(learnt, lr=schedule.rate, momentum=0.9, weight_decay=4e-4,
                                nesterov=True)  # fmt: skip
    average = _Average(model, 0.995)
    loader = DataLoader(_Faces(renders, schedule, jitter), schedule.batch,
                        collate_fn=_face_batch, num_workers=schedule.workers,
                        prefetch_factor=4)  # fmt: skip
    began = time.monotonic()
    for step, (pixels, labels) in zip(range(schedule.steps), loader, strict=False):
        _set_rate(optimizer, schedule.rate_at(step))
        margin = MarginConfig(angle=0.35 * min(1.0, 4 * step / schedule.steps), scale=32.0)
        pixels = (pixels.float() - 127.5) / 127.5
        embeddings = model(pixels.contiguous(memory_format=torch.channels_last))
        cosine, norms = centres(embeddings), FeatureNorms.of_batch(embeddings)
        logits = margin_logits(cosine, labels, norms, margin)
        loss = functional.cross_entropy(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learnt, 5.0)
        optimizer.step()
        average.update(model, step)
        if step % 50 == 0:
            right = (cosine.argmax(dim=1) == labels).float().mean()
            _log("recogniser", step, began, {"loss": loss.item(), "right": right.item()})
    return average.model


def _channels_last(model: Model) -> Model:
    """Lay weights out as CPU convolutions like them."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _log(name: str, step: int, began: float, parts: dict[str, float]) -> None:
    numbers = " ".join(f"{key}={value:.4f}" for key, value in parts.items())
    line = f"{name} step={step} seconds={time.monotonic() - began:.0f} {numbers}\n"
    sys.stderr.write(line)
    sys.stderr.flush()
