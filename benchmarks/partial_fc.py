"""The class layer of training: time and memory of a step, by identities, dimensions, sample rate.

A step is forward, backward and update of ``training.partial_fc`` on a batch of random embeddings,
CosFace 0.4 at scale 64, without a backbone. Centres are bfloat16 with stochastic rounding and have
no momentum, except where ``centres`` says float32. ``step_ms`` is the median of the steps after
the first two; ``samples_per_s`` is batch over step. ``peak_mb`` is the most that a process of its
own held: on a GPU what torch allocated, on a CPU its resident memory, with torch itself.

On a CPU the batch is 128 and one thread works; on a GPU the batch is 1,024 and the cases go to a
hundred million identities, where they fit. For comparison, from insightface's table for R50 with
its backbone on 8 V100 at a sample rate of 0.1: 4,803 samples/s and 5.6 GB a GPU at 1 million
identities, 1,855 and 32 GB at 29 million.
"""

from __future__ import annotations

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median
from typing import Any

import torch

from training.centres import CentreOptimiser
from training.margins import MarginConfig
from training.partial_fc import PartialFC, PartialFCConfig

_WARM_UP, _STEPS = 2, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A class layer and the batch it is trained with."""

    classes: int
    dimensions: int
    sample_rate: float
    centres: str = "bfloat16"


ON_CPU = (
    Case(classes=100_000, dimensions=512, sample_rate=1.0, centres="float32"),
    Case(classes=100_000, dimensions=512, sample_rate=0.1, centres="float32"),
    Case(classes=1_000_000, dimensions=128, sample_rate=0.1),
    Case(classes=1_000_000, dimensions=512, sample_rate=0.1),
    Case(classes=4_000_000, dimensions=128, sample_rate=0.1),
)
ON_GPU = tuple(
    Case(classes=classes, dimensions=dimensions, sample_rate=rate)
    for classes in (1_000_000, 10_000_000, 100_000_000)
    for dimensions in (128, 512)
    for rate in (0.1, 1.0)
)


def run() -> list[dict[str, Any]]:
    """One row per case, each in a process of its own."""
    cases = ON_GPU if _apart(_sees_gpu) else ON_CPU
    return [_apart(_measure, case) for case in cases]


def _apart(work: Any, *given: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(work, *given).result()


def _sees_gpu() -> bool:
    return torch.cuda.is_available()


def _measure(case: Case) -> dict[str, Any]:
    on_gpu = torch.cuda.is_available()
    torch.set_num_threads(1)
    row: dict[str, Any] = {
        "classes": case.classes,
        "dimensions": case.dimensions,
        "sample_rate": case.sample_rate,
        "centres": case.centres,
        "device": torch.cuda.get_device_name() if on_gpu else "CPU, one thread",
        "batch": 1024 if on_gpu else 128,
    }
    try:
        seconds = _steps(case, row["batch"], torch.device("cuda" if on_gpu else "cpu"))
    except torch.OutOfMemoryError:
        return {**row, "fits": False}
    step = median(seconds[_WARM_UP:])
    return {
        **row,
        "fits": True,
        "step_ms": step * 1e3,
        "samples_per_s": row["batch"] / step,
        "peak_mb": _peak_mb(on_gpu),
    }


def _steps(case: Case, batch: int, device: torch.device) -> list[float]:
    layer = PartialFC(
        PartialFCConfig(
            classes=case.classes,
            embedding_size=case.dimensions,
            sample_rate=case.sample_rate,
            margin=MarginConfig(name="cosface", cosine=0.4),
            centre_dtype="float32" if case.centres == "float32" else "bfloat16",
            optimiser=CentreOptimiser(name="sgd", momentum=0.0),
        ),
        device=device,
    )
    torch.manual_seed(0)
    seconds = []
    for _ in range(_WARM_UP + _STEPS):
        embeddings = torch.randn(batch, case.dimensions, device=device, requires_grad=True)
        labels = torch.randint(case.classes, (batch,), device=device)
        started = time.perf_counter()
        torch.autograd.backward(layer(embeddings, labels))
        layer.step(0.1)
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return seconds


def _peak_mb(on_gpu: bool) -> float:
    if on_gpu:
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
