"""The softmax over sampled, sharded classes, without ever holding all of its logits.

For 1,024 embeddings and 10 million sampled classes the logits alone would take 41 GB. So they are
computed block by block, reduced at once to a log-sum-exp, and computed again in the backward pass
(the way of Wijmans et al., Cut Your Losses, arXiv:2411.09009). Across ranks only vectors with one
number per embedding travel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from training.centres import Centres
from training.class_sampling import SampledClasses
from training.collectives import Ranks, logsumexp_over, sum_over

_BLOCK_NUMBERS = 2**25  # of float32 logits that one block holds: 128 MiB


class ActiveCentres:
    """The sampled centres of one step and, once the backward pass has run, their gradient.

    ``places`` (n,) int64: where the true class of each embedding is among the sampled classes of
    this rank, or -1. ``limit`` (n,): negatives with a logit above it are left out; None keeps all.
    ``products`` is what matrices are rounded to before they are multiplied; sums are float32.
    ``gradient`` (sampled, k, d) float32 is that of the stored, not normalised, centres.
    """

    def __init__(
        self, centres: Centres, sampled: SampledClasses, places: torch.Tensor, ranks: Ranks
    ) -> None:
        self.centres, self.sampled, self.places, self.ranks = centres, sampled, places, ranks
        self.limit: torch.Tensor | None = None
        self.products = torch.float32
        self.gradient: torch.Tensor | None = None

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield where each block of sampled classes starts and stops, to be worked on in turn."""
        logits = _BLOCK_NUMBERS // max(1, len(self.places) * self.centres.shape.sub_centres)
        size = max(1, min(logits, self.centres.shape.classes_per_block))
        for start in range(0, self.sampled.count, size):
            yield start, min(start + size, self.sampled.count)


def class_similarities(
    directions: torch.Tensor, queries: torch.Tensor, active: ActiveCentres
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two numbers per embedding that its loss depends on, the same on every rank.

    ``directions`` (n, d) float32 are the embeddings of all ranks at length 1, ``queries`` the same
    times their logit scale. The first number is the cosine to the true class (0 where there is
    none), the second the log-sum-exp of the logits of all sampled other classes. With sub-centres
    the nearest one stands for its class (Deng et al., Sub-center ArcFace, ECCV 2020).

    The backward pass puts the gradient of this rank's centres into ``active``, and returns this
    rank's part of the gradient of the embeddings: summing it over ranks is the gather's duty.
    """
    similarities: tuple[torch.Tensor, torch.Tensor] = _ClassSimilarities.apply(  # type: ignore[no-untyped-call]
        directions, queries, active
    )
    return similarities


class _ClassSimilarities(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, directions: torch.Tensor, queries: torch.Tensor, active: ActiveCentres
    ) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(directions.device.type, enabled=False):
            true = directions.new_zeros(len(directions))
            rows = torch.nonzero(active.places >= 0).squeeze(1)
            units = _true_centres(rows, active)
            cosines = torch.einsum("nd,nkd->nk", directions[rows], units)
            nearest = cosines.max(dim=1)
            true[rows] = nearest.values
            negatives = logsumexp_over(_negatives(queries, active), active.ranks)
            true = sum_over(true, active.ranks)
        ctx.active = active
        ctx.save_for_backward(directions, queries, negatives, rows, nearest.indices)
        return true, negatives

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        of_true, of_negatives = gradients
        directions, queries, negatives, rows, nearest = ctx.saved_tensors
        active: ActiveCentres = ctx.active
        shape = active.centres.shape
        with torch.autocast(directions.device.type, enabled=False):
            size = (active.sampled.count, shape.sub_centres, shape.dimensions)
            gradient = directions.new_zeros(size)
            own = of_true[rows].unsqueeze(1)
            units = _true_centres(rows, active).take_along_dim(nearest.view(-1, 1, 1), dim=1)
            of_directions = torch.zeros_like(directions)
            of_directions[rows] = own * units.squeeze(1)
            true = (active.places[rows], nearest)
            gradient.index_put_(true, own * directions[rows], accumulate=True)
            floor = negatives.clamp(min=torch.finfo(negatives.dtype).min)
            of_queries = _negatives_backward(of_negatives, queries, floor, active, gradient)
        active.gradient = gradient
        return of_directions, of_queries, None


def _true_centres(rows: torch.Tensor, active: ActiveCentres) -> torch.Tensor:
    """Return the centres (m, k, d) of the true classes of some embeddings (m,), at length 1."""
    places, index = active.places[rows], active.sampled.index
    chosen = SampledClasses(index=places if index is None else index[places], count=len(places))
    return active.centres.unit_block(chosen, 0, len(places))[0]


def _negatives(queries: torch.Tensor, active: ActiveCentres) -> torch.Tensor:
    """Return the log-sum-exp (n,) of the logits of this rank's sampled classes but the true one."""
    total = queries.new_full((len(queries),), -torch.inf)
    queries = queries.to(active.products)
    for block in active.blocks():
        total = torch.logaddexp(total, _block_logsumexp(queries, block, active))
    return total


def _negatives_backward(
    of_negatives: torch.Tensor,
    queries: torch.Tensor,
    total: torch.Tensor,
    active: ActiveCentres,
    gradient: torch.Tensor,
) -> torch.Tensor:
    """Add to the gradient of the centres, bring it to stored length, and return the queries'."""
    of_queries = torch.zeros_like(queries)
    weights = of_negatives.unsqueeze(1)
    weighted, queries = (weights * queries).to(active.products), queries.to(active.products)
    for block in active.blocks():
        of_queries += _block_backward(queries, weighted, total, block, active, gradient)
    return weights * of_queries


# A block is a function of its own, so that its temporaries are gone before those of the next come.
def _block_logsumexp(
    queries: torch.Tensor, block: tuple[int, int], active: ActiveCentres
) -> torch.Tensor:
    units, _ = active.centres.unit_block(active.sampled, *block)
    logits, _ = _block_logits(queries, units.to(active.products), block[0], active)
    largest = logits.amax(dim=1).clamp(min=torch.finfo(logits.dtype).min)
    # In place: torch.logsumexp would hold the exponentials beside the logits.
    return largest + logits.sub_(largest.unsqueeze(1)).exp_().sum(dim=1).log()


def _block_backward(
    queries: torch.Tensor,
    weighted: torch.Tensor,
    total: torch.Tensor,
    block: tuple[int, int],
    active: ActiveCentres,
    gradient: torch.Tensor,
) -> torch.Tensor:
    units, inverse = active.centres.unit_block(active.sampled, *block)
    factors = units.to(active.products)
    slopes, nearest = _block_logits(queries, factors, block[0], active)
    slopes.sub_(total.unsqueeze(1)).exp_()  # of a log-sum-exp by a logit: its share of the sum
    slopes = _spread(slopes.to(active.products), nearest, units.shape[1])
    of_centres = gradient[slice(*block)]
    of_centres += _product(slopes.T, weighted).view_as(units)
    along = (of_centres * units).sum(dim=2, keepdim=True)
    of_centres.sub_(along * units).mul_(inverse)
    return _product(slopes, factors.flatten(0, 1))


def _block_logits(
    queries: torch.Tensor, units: torch.Tensor, start: int, active: ActiveCentres
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return logits (n, classes), -inf where left out, and the nearest sub-centres if several."""
    logits = _product(queries, units.flatten(0, 1).T)
    nearest = None
    if units.shape[1] > 1:
        logits, nearest = logits.view(len(queries), *units.shape[:2]).max(dim=2)
    if active.limit is not None:
        logits.masked_fill_(logits > active.limit.unsqueeze(1), -torch.inf)
    # The true class is taken out by a masked scatter: asking which rows have it here would make
    # the processor wait for the GPU in every block.
    column = (active.places - start).unsqueeze(1)
    here = (active.places.unsqueeze(1) >= 0) & (column >= 0) & (column < len(units))
    column = column.clamp(0, len(units) - 1)
    kept = logits.gather(1, column).masked_fill(here, -torch.inf)
    return logits.scatter_(1, column, kept), nearest


def _spread(slopes: torch.Tensor, nearest: torch.Tensor | None, sub_centres: int) -> torch.Tensor:
    """Give each class's slope (n, classes) to its nearest sub-centre: (n, classes k)."""
    if nearest is None:
        return slopes
    spread = slopes.new_zeros((*slopes.shape, sub_centres))
    return spread.scatter_(2, nearest.unsqueeze(2), slopes.unsqueeze(2)).flatten(1)


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the matrix product, summed and given in float32, of float32 or bfloat16 factors."""
    if left.dtype == torch.float32:
        return left @ right
    if left.is_cuda:
        return torch.mm(left, right, out_dtype=torch.float32)
    return left.float() @ right.float()  # the same: products of bfloat16 are exact in float32
