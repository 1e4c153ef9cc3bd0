"""Exchanges between ranks that the class layer needs, with their gradients.

With one process, or without ``torch.distributed``, each function is the identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed

from facedata.errors import RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The processes that share a class layer: this one's rank, their number, and their group."""

    rank: int
    size: int
    group: distributed.ProcessGroup | None

    @classmethod
    def of(cls, group: distributed.ProcessGroup | None) -> Ranks:
        """Return the ranks of ``group``; of all processes when None; of this one when alone."""
        if not distributed.is_initialized():
            return cls(rank=0, size=1, group=None)
        rank, size = distributed.get_rank(group), distributed.get_world_size(group)
        return cls(rank=rank, size=size, group=group)


def gather_rows(
    rows: torch.Tensor, ranks: Ranks, *, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Return the rows (b, …) of all ranks, (size b, …), in rank order, in the dtype of ``rows``.

    They travel in ``dtype``. The gradient is exact, travels in the dtype of ``rows`` and is summed
    over ranks, then multiplied by their number: so the mean over ranks that
    ``DistributedDataParallel`` takes of the parameters' gradients gives the gradient of one loss
    over all rows.
    """
    gathered: torch.Tensor = _GatherRows.apply(rows, ranks, dtype or rows.dtype)  # type: ignore[no-untyped-call]
    return gathered


def share_gradient(tensor: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """Return ``tensor``; its gradient is divided by the number of ranks.

    For what all ranks compute alike from gathered rows: the gather's sum over ranks would count it
    once for each of them.
    """
    if ranks.size == 1 or not tensor.requires_grad:
        return tensor
    shared: torch.Tensor = _ScaleGradient.apply(tensor, 1 / ranks.size)  # type: ignore[no-untyped-call]
    return shared


def sum_over(tensor: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """Return the sum over ranks, without gradient; ``tensor`` itself is overwritten."""
    return _reduce(tensor, ranks, distributed.ReduceOp.SUM)


def max_over(tensor: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """Return the maximum over ranks, without gradient; ``tensor`` itself is overwritten."""
    return _reduce(tensor, ranks, distributed.ReduceOp.MAX)


def logsumexp_over(values: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """Return log Σ exp over ranks of ``values`` (n,); -inf is the logarithm of an empty sum.

    The largest is taken out first (Shoeybi et al., Megatron-LM, arXiv:1909.08053), so nothing
    overflows.
    """
    if ranks.size == 1:
        return values
    largest = max_over(values.clone(), ranks).clamp(min=torch.finfo(values.dtype).min)
    return largest + sum_over(torch.exp(values - largest), ranks).log()


def require_fitting(labels: torch.Tensor, classes: int, ranks: Ranks, *, what: str) -> None:
    """Check that all ranks hold equally many labels (b,) int64, each from -1 to ``classes`` - 1.

    One exchange and one wait for the GPU answer both, before anything of those sizes travels.

    Raises:
        RequestError: they do not; raised on every rank, so none is left waiting.

    """
    least, most = torch.cat([labels, labels.new_full((1,), -1)]).aminmax()  # also of no labels
    size = torch.full_like(most, len(labels))
    found = max_over(torch.stack([size, -size, most, -least]), ranks).tolist()
    if found[0] != -found[1]:
        raise RequestError(
            f"{what}: the batch size differs between ranks: {-found[1]} to {found[0]}; give every "
            "rank the same, filled up with rows of label -1"
        )
    if found[2] >= classes or found[3] > 1:
        wrong = found[2] if found[2] >= classes else -found[3]
        raise RequestError(
            f"{what}: label {wrong} is not one of the {classes} classes; "
            "labels are 0 to classes - 1, or -1 for none"
        )


def _reduce(
    tensor: torch.Tensor, ranks: Ranks, how: distributed.ReduceOp.RedOpType
) -> torch.Tensor:
    if ranks.size > 1:
        distributed.all_reduce(tensor, op=how, group=ranks.group)
    return tensor


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, ranks: Ranks, dtype: torch.dtype) -> torch.Tensor:
        ctx.ranks = ranks
        sent = rows.to(dtype).contiguous()
        if ranks.size == 1:
            return sent.to(rows.dtype).view_as(rows)
        gathered = sent.new_empty((ranks.size * len(rows), *rows.shape[1:]))
        distributed.all_gather_single(gathered, sent, group=ranks.group)
        return gathered.to(rows.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        ranks: Ranks = ctx.ranks
        (gradient,) = gradients
        if ranks.size == 1:
            return gradient, None, None
        mine = gradient.new_empty((len(gradient) // ranks.size, *gradient.shape[1:]))
        distributed.reduce_scatter_single(mine, gradient.contiguous(), group=ranks.group)
        return mine.mul_(ranks.size), None, None


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0] * ctx.factor, None
