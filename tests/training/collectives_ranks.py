"""The exchanges on 1 and 3 ranks over gloo; run by ``test_collectives.py`` as a program.

Usage: ``collectives_ranks.py FOLDER``; of ``size`` ranks, rank ``r`` writes ``FOLDER/size-r.pt``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.multiprocessing import start_processes

from facedata.errors import RequestError
from training.collectives import (
    Ranks,
    gather_rows,
    logsumexp_over,
    max_over,
    require_fitting,
    share_gradient,
    sum_over,
)


def gathered(ranks: Ranks) -> dict[str, Any]:
    """Rank r holds [r + 1/3, r]; its loss weighs every gathered row by (row + 1)(r + 1)."""
    rows = torch.tensor([[ranks.rank + 1 / 3], [float(ranks.rank)]], requires_grad=True)
    everything = gather_rows(rows, ranks)
    weights = torch.arange(1, 2 * ranks.size + 1).unsqueeze(1) * (ranks.rank + 1)
    (everything * weights).sum().backward()
    own, rows.grad = rows.grad, None
    share_gradient(gather_rows(rows, ranks), ranks).square().sum().backward()
    return {
        "rows": everything.detach(),
        "own": own,
        "shared": rows.grad,
        "low": gather_rows(rows.detach(), ranks, dtype=torch.bfloat16),
    }


def reduced(ranks: Ranks) -> dict[str, Any]:
    values = torch.tensor([float(ranks.rank), 200.0 * ranks.rank, -torch.inf])
    logarithms = values.clone()
    logarithms[1] = values[1] if ranks.rank == 0 else -torch.inf
    return {
        "sum": sum_over(values[:2].clone(), ranks),
        "max": max_over(values.clone(), ranks),
        "logsumexp": logsumexp_over(logarithms, ranks),
    }


def refused(ranks: Ranks) -> dict[str, str]:
    """What is said of labels of which only those of one rank, the last or the first, do not fit."""
    last, first = ranks.rank == ranks.size - 1, ranks.rank == 0
    attempts = {
        "none": torch.zeros(0),
        "good": torch.tensor([-1, ranks.rank, 6]),
        "uneven": torch.zeros(5 + ranks.rank),
        "high": torch.tensor([0, 7 if last else 6]),
        "low": torch.tensor([3, -2 if first else -1]),
    }
    messages = {}
    for name, labels in attempts.items():
        try:
            require_fitting(labels.long(), 7, ranks, what="the layer")
        except RequestError as error:
            messages[name] = str(error)
    return messages


def run_rank(rank: int, size: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet-{size}", rank=rank, world_size=size
    )
    ranks = Ranks.of(None)
    record = gathered(ranks) | reduced(ranks) | {"refused": refused(ranks)}
    torch.save(record | {"rank": ranks.rank, "size": ranks.size}, folder / f"{size}-{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    for number in (1, 3):
        arguments = (number, Path(sys.argv[1]))
        start_processes(run_rank, arguments, nprocs=number, start_method="fork")
