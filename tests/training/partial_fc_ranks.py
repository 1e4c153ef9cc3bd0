"""A class layer on 1, 2 and 4 ranks over gloo; run by ``test_partial_fc.py`` as a program.

Usage: ``partial_fc_ranks.py FOLDER``. Every scenario records what went in and what came out; of
``size`` ranks, rank ``r`` writes them to ``FOLDER/size-r.pt``. Ranks are forked: a rank that had to
import torch again would take longer for that than for all else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # DistributedDataParallel would, in every rank
from torch import distributed, nn
from torch.multiprocessing import start_processes
from torch.nn.parallel import DistributedDataParallel

from facedata.errors import RequestError
from training.centres import CentreOptimiser
from training.margins import MarginConfig
from training.partial_fc import PartialFC, PartialFCConfig

ROWS, DIMENSIONS = 16, 16
Record = dict[str, Any]

FULL = PartialFCConfig(
    classes=37,  # divisible by neither 2 nor 4
    embedding_size=DIMENSIONS,
    margin=MarginConfig(name="combined", multiply=1.1, angle=0.3, cosine=0.1, scale=16.0),
)
SAMPLED = replace(FULL, classes=1001, sample_rate=0.1)


def batch(step: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    rows = torch.randn(ROWS, DIMENSIONS, generator=generator) * 3
    labels = torch.randint(0, classes, (ROWS,), generator=generator)
    labels[5] = -1
    return rows, labels


def mine(rows: torch.Tensor, rank: int, size: int) -> torch.Tensor:
    return rows.view(size, -1, *rows.shape[1:])[rank].clone()


def train(config: PartialFCConfig, rank: int, size: int, steps: int) -> Record:
    layer = PartialFC(config)
    record: Record = {"config": config, "before": copied(layer), "steps": []}
    for step in range(steps):
        record["steps"].append(one_step(layer, step, rank, size))
    return record | {"after": copied(layer)}


def one_step(layer: PartialFC, step: int, rank: int, size: int) -> Record:
    rows, labels = batch(step, layer.config.classes)
    embeddings = mine(rows, rank, size).requires_grad_()
    loss = layer(embeddings, mine(labels, rank, size))
    loss.backward()
    record = {"rows": rows, "labels": labels, "loss": loss.item(), "gradient": embeddings.grad,
              "norm": layer.gradient_norm().item(),
              "sampled": layer.sampled_classes()}  # fmt: skip
    layer.step(0.1)
    return record


def copied(layer: PartialFC) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in layer.state_dict().items()}


def with_margin(name: str) -> PartialFCConfig:
    return replace(FULL, margin=replace(FULL.margin, name=name))


def resumed(rank: int, size: int) -> Record:
    """The third step, after two and after a state put into a new layer."""
    layer, fresh = PartialFC(SAMPLED), PartialFC(replace(SAMPLED))
    for step in range(2):
        one_step(layer, step, rank, size)
    fresh.load_state_dict(layer.state_dict())
    both = [one_step(each, 2, rank, size)["sampled"] for each in (layer, fresh)]
    return {"sampled": both, "after": [copied(layer), copied(fresh)]}


def crowded(rank: int, size: int) -> Record:
    """All positives on the first rank, more than the rate allows."""
    layer = PartialFC(replace(SAMPLED, sample_rate=0.001))
    rows, _ = batch(0, 1)
    layer(mine(rows, rank, size), mine(torch.arange(ROWS), rank, size)).backward()
    return {"sampled": layer.sampled_classes()}


def data_parallel(rank: int, size: int) -> Record:
    """The gradient of a backbone under DistributedDataParallel."""
    torch.manual_seed(0)
    backbone: nn.Module = nn.Linear(DIMENSIONS, DIMENSIONS)
    parallel = DistributedDataParallel(backbone)
    layer = PartialFC(FULL)
    rows, labels = batch(0, FULL.classes)
    layer(parallel(mine(rows, rank, size)), mine(labels, rank, size)).backward()
    weights = {name: value.detach() for name, value in backbone.state_dict().items()}
    return {"rows": rows, "labels": labels, "before": copied(layer), "weights": weights,
            "gradient": parallel.module.weight.grad}  # fmt: skip


def low_precision(rank: int, size: int) -> Record:
    config = replace(FULL, centre_dtype="bfloat16", gather_dtype="bfloat16", sample_rate=0.5)
    layer = PartialFC(replace(config, optimiser=CentreOptimiser(momentum=0.0)))
    before = copied(layer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        step = one_step(layer, 0, rank, size)
    return {"config": config, "before": before, "steps": [step], "after": copied(layer)}


def refused(rank: int, size: int) -> Record:
    """The messages of what must not hang or pass."""
    layer, messages = PartialFC(FULL), {}
    attempts: dict[str, Callable[[], Any]] = {
        "uneven": lambda: layer(torch.ones(2 + rank, 16), torch.zeros(2 + rank).long()),
        "label": lambda: layer(torch.ones(2, 16), torch.tensor([0, 37])),
        "classes": lambda: PartialFC(replace(FULL, classes=size - 1)),
        "step": lambda: layer.step(0.1),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except RequestError as error:
            messages[name] = str(error)
    return messages


def run_rank(rank: int, size: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet-{size}", rank=rank, world_size=size
    )
    adamw = CentreOptimiser(name="adamw", weight_decay=0.05)
    record = {
        "full": train(FULL, rank, size, 3),
        "adamw": train(replace(FULL, optimiser=adamw), rank, size, 3),
        "softmax": train(with_margin("softmax"), rank, size, 1),
        "adaface": train(with_margin("adaface"), rank, size, 3),
        "options": train(replace(FULL, sub_centres=3, filter_similarity=0.3), rank, size, 2),
        "travelled": train(replace(FULL, gather_dtype="bfloat16"), rank, size, 1),
        "sampled": train(SAMPLED, rank, size, 2),
        "resumed": resumed(rank, size),
        "crowded": crowded(rank, size),
        "parallel": data_parallel(rank, size),
        "low": low_precision(rank, size),
        "refused": refused(rank, size),
    }
    torch.save(record, folder / f"{size}-{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    for ranks in (1, 2, 4):
        arguments = (ranks, Path(sys.argv[1]))
        start_processes(run_rank, arguments, nprocs=ranks, start_method="fork")
