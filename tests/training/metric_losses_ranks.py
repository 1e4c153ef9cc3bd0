"""Metric losses on 2 ranks over gloo; run by ``test_metric_losses.py`` as a program.

Usage: ``metric_losses_ranks.py FOLDER``; rank ``r`` writes ``FOLDER/r.pt``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.multiprocessing import start_processes

from training.metric_losses import METRIC_LOSSES, MetricLoss, MetricLossConfig

SIZE = 2


def one(name: str, rank: int) -> dict[str, Any]:
    rows = torch.randn(12, 8, generator=torch.Generator().manual_seed(3))
    labels = torch.tensor([0, 1, 2, 0, 1, -1, 2, 2, 1, 0, 3, 0])
    layer = MetricLoss(MetricLossConfig(name=name, classes=4, embedding_size=8, margin=0.5))
    mine = rows.view(SIZE, -1, 8)[rank].clone().requires_grad_()
    loss = layer(mine, labels.view(SIZE, -1)[rank])
    loss.backward()
    layer.step(0.1)
    return {"rows": rows, "labels": labels, "loss": loss.item(), "gradient": mine.grad,
            "state": layer.state_dict()}  # fmt: skip


def run_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=SIZE
    )
    torch.save({name: one(name, rank) for name in METRIC_LOSSES}, folder / f"{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    start_processes(run_rank, (Path(sys.argv[1]),), nprocs=SIZE, start_method="fork")
