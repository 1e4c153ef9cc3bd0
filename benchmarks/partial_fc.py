"""The class layer of training: time and memory of a step, by identities, dimensions, sample rate.

A step is forward, backward and update of ``training.partial_fc`` on a batch of random embeddings,
CosFace 0.4 at scale 64, without a backbone. Every case runs in a process of its own; one that does
not fit says why in ``reason``. ``step_ms`` is the median of the steps after the warm-up, from an
idle device to an idle device; ``samples_per_s`` is batch over step. Centres in bfloat16 are rounded
stochastically; ``momentum`` is the type it is kept in; ``recipe`` names the training recipe that
a case has its rate, dimensions and types from.

On a GPU the batch is 1,024, products are bfloat16 by autocast, and the cases go to a hundred
million identities; 3 steps warm up, 10 are timed. ``peak_mb`` is the most that torch had allocated,
``reserved_mb`` the most that it held. On a CPU the batch is 128, one thread works in float32,
2 steps warm up, 5 are timed, and ``peak_mb`` is the process's resident memory, with torch itself.

To compare with, insightface's table for R50 with its backbone, on 8 V100 at a sample rate of 0.1:
4,803 samples/s and 5.6 GB a GPU at 1 million identities, 1,855 samples/s and 32 GB at 29 million.
These are one class layer on one device, without the backbone: not the same work.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median
from typing import Any

import torch

from training.centres import CentreOptimiser, StoredDtype
from training.margins import MarginConfig
from training.partial_fc import PartialFC, PartialFCConfig
from training.recipes import Target, recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A class layer; ``momentum`` is the type it is kept in, None for none."""

    classes: int
    dimensions: int
    sample_rate: float
    centres: StoredDtype = "bfloat16"
    momentum: StoredDtype | None = None
    gathered: StoredDtype = "float32"
    recipe: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The batch, and how many steps go before the timed ones."""

    batch: int
    warm_up: int
    timed: int


def from_recipe(name: str, classes: int) -> Case:
    """The class layer of a training recipe, for so many identities."""
    config = recipe(name, Target(workspace="-", version="-", output="-"))
    layer = config.class_layer
    if layer is None:
        raise SystemExit(f"the recipe {name} has no class layer; name one that has")
    return Case(
        classes=classes,
        dimensions=config.model.embedding_size,
        sample_rate=layer.sample_rate,
        centres=layer.centre_dtype,
        momentum=layer.state_dtype if config.optimiser.momentum else None,
        gathered=layer.gather_dtype,
        recipe=name,
    )


ON_CPU = (
    Case(classes=100_000, dimensions=512, sample_rate=1.0, centres="float32"),
    Case(classes=100_000, dimensions=512, sample_rate=0.1, centres="float32"),
    Case(classes=1_000_000, dimensions=128, sample_rate=0.1),
    Case(classes=1_000_000, dimensions=512, sample_rate=0.1),
    Case(classes=4_000_000, dimensions=128, sample_rate=0.1),
    from_recipe("hundred_million", 1_000_000),
)
ON_GPU = (
    *(
        Case(classes=classes, dimensions=dimensions, sample_rate=rate)
        for classes in (1_000_000, 10_000_000, 100_000_000)
        for dimensions in (128, 512)
        for rate in (0.1, 1.0)
    ),
    from_recipe("glint360k_r50", 360_000),
    from_recipe("wf42m_r100_pfc", 2_000_000),
    from_recipe("hundred_million", 100_000_000),
)
PACE_ON_CPU = Pace(batch=128, warm_up=2, timed=5)
PACE_ON_GPU = Pace(batch=1024, warm_up=3, timed=10)


def run() -> list[dict[str, Any]]:
    """One row per case, each in a process of its own."""
    cases = ON_GPU if _apart(_sees_gpu) else ON_CPU
    return [measured_apart(case, measure) for case in cases]


def measured_apart(case: Case, work: Callable[[Case], dict[str, Any]]) -> dict[str, Any]:
    """The row of a case; a process that the system ends costs that row alone."""
    try:
        row: dict[str, Any] = _apart(work, case)
    except BrokenProcessPool:
        return {**described(case), "fits": False, "reason": "the system ended the process"}
    return row


def described(case: Case) -> dict[str, Any]:
    """What a row says of its case."""
    return {
        "recipe": case.recipe,
        "classes": case.classes,
        "dimensions": case.dimensions,
        "sample_rate": case.sample_rate,
        "centres": case.centres,
        "momentum": case.momentum,
    }


def measure(case: Case) -> dict[str, Any]:
    """The row of a case, measured in this process, on its GPU if it has one."""
    on_gpu = torch.cuda.is_available()
    torch.set_num_threads(1)
    pace = PACE_ON_GPU if on_gpu else PACE_ON_CPU
    row = described(case) | {
        "products": "bfloat16" if on_gpu else "float32",
        "device": torch.cuda.get_device_name() if on_gpu else "CPU, one thread",
        "batch": pace.batch,
    }
    try:
        step = median(_steps(case, pace, torch.device("cuda" if on_gpu else "cpu")))
    except (torch.OutOfMemoryError, MemoryError) as error:
        return row | {"fits": False, "reason": f"{' '.join(str(error).split()):.120}"}
    return row | {
        "fits": True,
        "reason": None,
        "step_ms": step * 1e3,
        "samples_per_s": pace.batch / step,
        "peak_mb": _peak_mb(on_gpu),
        "reserved_mb": torch.cuda.max_memory_reserved() / 1e6 if on_gpu else None,
    }


def _steps(case: Case, pace: Pace, device: torch.device) -> list[float]:
    """Seconds of each timed step."""
    layer = PartialFC(_config(case), device=device)
    torch.manual_seed(0)
    seconds = [_step(layer, pace.batch, device) for _ in range(pace.warm_up + pace.timed)]
    return seconds[pace.warm_up :]


def _step(layer: PartialFC, batch: int, device: torch.device) -> float:
    size = layer.config.embedding_size
    embeddings = torch.randn(batch, size, device=device, requires_grad=True)
    labels = torch.randint(layer.config.classes, (batch,), device=device)
    _settle(device)
    started = time.perf_counter()
    # As the loop does it: the backward pass and the update are outside of autocast.
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        loss = layer(embeddings, labels)
    torch.autograd.backward(loss)
    layer.step(0.1)
    _settle(device)
    return time.perf_counter() - started


def _config(case: Case) -> PartialFCConfig:
    return PartialFCConfig(
        classes=case.classes,
        embedding_size=case.dimensions,
        sample_rate=case.sample_rate,
        margin=MarginConfig(name="cosface", cosine=0.4),
        centre_dtype=case.centres,
        gather_dtype=case.gathered,
        optimiser=CentreOptimiser(
            name="sgd",
            momentum=0.9 if case.momentum else 0.0,
            state_dtype=case.momentum or "float32",
        ),
    )


def _settle(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_mb(on_gpu: bool) -> float:
    if on_gpu:
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _apart(work: Callable[..., Any], *given: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(work, *given).result()


def _sees_gpu() -> bool:
    return torch.cuda.is_available()
