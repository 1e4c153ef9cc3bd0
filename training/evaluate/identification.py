"""1:N identification: whether a probe's own identity is found in a gallery, and what else is.

``search`` measures once: similarities and ranks. Rates come from that. An identity's score is its
nearest gallery face. Other identities that tie with a probe's own stand before it, so that no rate
is better than what any order of ties would give. Terms as in ISO/IEC 19795-1 and NIST's FRTE 1:N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facedata.errors import RequestError
from training.evaluate.comparison import Comparison, compare_with_gallery
from training.evaluate.exact import Embeddings, Float64, Int64
from training.evaluate.operating_point import (
    Interval,
    allowed_accepts,
    check_rates,
    clopper_pearson,
    interval_between,
    threshold_band,
    threshold_for,
)

RANKS = (1, 5, 10)
FPIRS = (1e-1, 1e-2, 1e-3)

_NEVER_FOUND = -1.0
"""Below every threshold that a rate of false alarms leads to."""
_PROBES_AT_ONCE = 256
_FACES_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """One row per probe, in the order given.

    ``rank`` (n,) of its own identity, 1 the best, 0 where the gallery does not hold it.
    ``mate_similarity`` (n,) is the nearest face of its own identity, nan without; ``best_other``
    (n,) the nearest of any other identity, -inf without.
    """

    rank: Int64
    mate_similarity: Float64
    best_other: Float64

    @property
    def mated(self) -> NDArray[np.bool_]:
        """Whether the gallery holds the probe's identity (n,)."""
        return self.rank > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RankRate:
    """Closed set: ``hits`` of ``probes`` whose own identity is among the best ``rank``."""

    rank: int
    hits: int
    probes: int

    @property
    def rate(self) -> float:
        """Share in [0, 1]."""
        return self.hits / self.probes

    @property
    def interval(self) -> Interval:
        """95 % interval of ``rate``."""
        return clopper_pearson(self.hits, self.probes)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSetPoint:
    """Open set at ``similarity >= threshold``, the lowest that keeps ``fpir``.

    ``false_positives`` of ``unmated`` probes get any answer; ``misses`` of ``mated`` ones do not
    get their own identity, because it scores below the threshold or ranks too low.
    """

    fpir: float
    threshold: float
    false_positives: int
    unmated: int
    misses: int
    mated: int
    found_between: tuple[int, int]
    """The fewest and most that are found where the threshold may lie (``threshold_band``)."""

    @property
    def fnir(self) -> float:
        """False negative identification rate in [0, 1]."""
        return self.misses / self.mated

    @property
    def measured_fpir(self) -> float:
        """False positive identification rate in [0, 1]."""
        return self.false_positives / self.unmated

    @property
    def fnir_interval(self) -> Interval:
        """95 % interval of the rate at ``fpir``, its threshold's error included."""
        low, high = interval_between(self.found_between, self.mated)
        return 1 - high, 1 - low


def search(
    probes: tuple[Embeddings, NDArray[Any]], gallery: tuple[Embeddings, NDArray[Any]]
) -> SearchResult:
    """Compare all probes with the whole gallery, each as (n, d) unit rows and identities (n,).

    Similarities are exact (see :mod:`training.evaluate.exact`). Memory is a few thousand faces
    at a time, and more only where one identity has more.

    Raises ``RequestError`` for shapes or values that do not fit.
    """
    comparison = compare_with_gallery(probes, gallery, "identification")
    count = len(comparison.probes)
    mate, other = np.full(count, np.nan), np.full(count, -np.inf)
    rank = np.zeros(count, dtype=np.int64)
    blocks = _identity_blocks(comparison)
    for start in range(0, count, _PROBES_AT_ONCE):
        some = np.arange(start, min(start + _PROBES_AT_ONCE, count))
        mate[some] = _mate_similarity(comparison, some)
        ahead, other[some] = _others(comparison, some, mate[some], blocks)
        rank[some] = np.where(np.isnan(mate[some]), 0, 1 + ahead)
    back = np.empty(count, dtype=np.int64)
    back[comparison.probes.order] = np.arange(count)
    return SearchResult(rank=rank[back], mate_similarity=mate[back], best_other=other[back])


def with_missing(result: SearchResult, mated: int, unmated: int) -> SearchResult:
    """``result`` with searches that could not be made, of people in and not in the gallery.

    They find nobody: those of mated people are misses at every rank and threshold, those of others
    raise no false alarm.
    """
    extra = mated + unmated
    rank, mate = np.zeros(extra, dtype=np.int64), np.full(extra, np.nan)
    rank[:mated], mate[:mated] = np.iinfo(np.int64).max, _NEVER_FOUND
    return SearchResult(
        rank=np.concatenate([result.rank, rank]),
        mate_similarity=np.concatenate([result.mate_similarity, mate]),
        best_other=np.concatenate([result.best_other, np.full(extra, _NEVER_FOUND)]),
    )


def rank_rates(result: SearchResult, ranks: Sequence[int] = RANKS) -> dict[int, RankRate]:
    """Closed-set identification rates of the mated probes.

    Raises ``RequestError`` when no probe is mated.
    """
    own = result.rank[result.mated]
    if not own.size:
        raise RequestError("identification: the gallery holds no probe's identity; check the names")
    return {
        rank: RankRate(rank=rank, hits=int(np.sum(own <= rank)), probes=len(own)) for rank in ranks
    }


def open_set(
    result: SearchResult, fpirs: Sequence[float] = FPIRS, *, max_rank: int = 1
) -> dict[float, OpenSetPoint | None]:
    """FNIR at each FPIR; None where there are fewer than 1 / FPIR unmated probes.

    A mated probe is found when its identity is among the best ``max_rank`` and passes the
    threshold.

    Raises ``RequestError`` when mated or unmated probes are missing.
    """
    check_rates(fpirs)
    mated, unmated = int(np.sum(result.mated)), int(np.sum(~result.mated))
    if not mated or not unmated:
        raise RequestError(
            f"identification: {mated} mated and {unmated} unmated probes; an open set needs both"
        )
    points: dict[float, OpenSetPoint | None] = dict.fromkeys(fpirs)
    for fpir in fpirs:
        allowed = allowed_accepts(fpir, unmated)
        if allowed is None:
            continue
        unknown = result.best_other[~result.mated]
        threshold = threshold_for(unknown, allowed)
        low, high = threshold_band(unknown, fpir)
        own = result.mate_similarity[result.mated & (result.rank <= max_rank)]
        points[fpir] = OpenSetPoint(
            fpir=fpir,
            threshold=threshold,
            false_positives=int(np.sum(unknown >= threshold)),
            unmated=unmated,
            misses=mated - int(np.sum(own >= threshold)),
            mated=mated,
            found_between=(int(np.sum(own >= high)), int(np.sum(own >= low))),
        )
    return points


def _identity_blocks(comparison: Comparison) -> list[Int64]:
    """Runs of whole gallery identities: where each identity starts, and the end of the last."""
    identity = comparison.gallery.identity
    starts = np.flatnonzero(np.concatenate([[True], identity[1:] != identity[:-1]]))
    ends = np.concatenate([starts[1:], [len(identity)]])
    cut = np.flatnonzero(np.diff(starts // _FACES_AT_ONCE, prepend=-1))
    borders = np.concatenate([cut, [len(starts)]])
    return [
        np.concatenate([starts[first:last], ends[last - 1 : last]])
        for first, last in pairwise(borders)
    ]


def _mate_similarity(comparison: Comparison, some: Int64) -> Float64:
    """The nearest face of each probe's own identity (k,); nan without."""
    first, last = comparison.skip_from[some], comparison.skip_to[some]
    mate = np.full(len(some), np.nan)
    for row in np.flatnonzero(first < last):
        column = np.arange(first[row], last[row])
        probe = np.full(len(column), some[row])
        mate[row] = comparison.similarity(probe, column).max()
    return mate


def _others(
    comparison: Comparison, some: Int64, mate: Float64, blocks: Sequence[Int64]
) -> tuple[Int64, Float64]:
    """How many other identities reach each probe's mate (k,), and the best of all others (k,)."""
    probes = comparison.probes.rows(int(some[0]), int(some[-1]) + 1).astype(np.float64)
    ahead, best = np.zeros(len(some), dtype=np.int64), np.full(len(some), -np.inf)
    for block in blocks:
        rows = comparison.gallery.rows(int(block[0]), int(block[-1])).astype(np.float64)
        score = np.maximum.reduceat(probes @ rows.T, block[:-1] - block[0], axis=1)
        # A probe's own identity starts where its mates do.
        own = comparison.skip_from[some][:, None] == block[None, :-1]
        score[own & ~np.isnan(mate)[:, None]] = -np.inf
        ahead += np.sum(score >= mate[:, None], axis=1)
        np.maximum(best, score.max(axis=1), out=best)
    return ahead, best
