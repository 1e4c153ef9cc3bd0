"""Verification on a list of pairs: accuracy as LFW, VAL@FAR as FaceNet, TAR@FAR, the ROC.

A pair is accepted when ``similarity >= threshold``. ``similarity`` is (n,) cosine, ``same`` (n,)
bool, ``folds`` (n,) integers; a fold is judged with a threshold chosen on the others.
Sources: Huang et al., Labeled Faces in the Wild (UMass 07-49); Schroff et al., FaceNet
(arXiv:1503.03832). Unlike their published code, thresholds are not taken from a grid, and a rate is
never interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facedata.errors import RequestError
from training.evaluate.operating_point import (
    OperatingPoint,
    allowed_accepts,
    check_rates,
    threshold_band,
    threshold_for,
)

Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]

NEVER_ACCEPTED = -1.0
"""The score of a pair without a face in one image: every threshold lies above it."""

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPairs:
    """Pairs with their similarity; make them with :func:`scored_pairs`, which checks them."""

    similarity: Float64
    same: Bool
    folds: Int64

    @property
    def genuine(self) -> Float64:
        """Similarities of same-person pairs."""
        return self.similarity[self.same]

    @property
    def impostor(self) -> Float64:
        """Similarities of different-person pairs."""
        return self.similarity[~self.same]

    def where(self, chosen: Bool) -> ScoredPairs:
        """The pairs that are ``chosen`` (n,)."""
        return ScoredPairs(
            similarity=self.similarity[chosen], same=self.same[chosen], folds=self.folds[chosen]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Mean and standard deviation over folds of the share judged right; one threshold a fold."""

    mean: float
    std: float
    by_fold: tuple[float, ...]
    thresholds: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationRate:
    """VAL@FAR: mean and standard deviation over folds of the genuine pairs accepted.

    ``measured_far`` is the mean share of held-out impostor pairs accepted.
    """

    far: float
    mean: float
    std: float
    measured_far: float


def scored_pairs(
    similarity: NDArray[np.floating[Any]], same: Bool, folds: Int64 | None = None
) -> ScoredPairs:
    """Check and hold pairs; without ``folds`` they get ten by :func:`stratified_folds`.

    Raises ``RequestError`` for shapes that differ, scores that are not finite, or when either kind
    of pair is missing, in all or in what is left when one fold is held out.
    """
    scores = np.asarray(similarity, dtype=np.float64)
    truth = np.asarray(same, dtype=np.bool_)
    _check(scores, truth)
    cut = stratified_folds(truth) if folds is None else np.asarray(folds, dtype=np.int64)
    if cut.shape != truth.shape:
        raise RequestError(f"pairs: folds are {cut.shape} for {truth.shape} pairs; give one each")
    for fold in np.unique(cut):
        kinds = truth[cut != fold]
        if kinds.all() or not kinds.any():
            raise RequestError(
                f"pairs: outside fold {fold} there are {int(kinds.sum())} same and "
                f"{int((~kinds).sum())} different pairs; give at least two folds with both kinds"
            )
    return ScoredPairs(similarity=scores, same=truth, folds=cut)


def contiguous_folds(count: int, folds: int = 10) -> Int64:
    """Fold of each of ``count`` pairs, in equal runs: as LFW's file and insightface's sets are."""
    return np.arange(count, dtype=np.int64) * folds // max(count, 1)


def stratified_folds(same: Bool, folds: int = 10) -> Int64:
    """Runs within each kind of pair: for lists that are not cut into folds already.

    Lists are mostly ordered by person, so that runs keep a person's pairs in one fold.
    """
    cut = np.empty(len(same), dtype=np.int64)
    for kind in (False, True):
        cut[same == kind] = contiguous_folds(int(np.sum(same == kind)), folds)
    return cut


def accuracy(pairs: ScoredPairs) -> Accuracy:
    """Accuracy with the threshold that is best on the other folds (LFW's protocol)."""
    shares, thresholds = [], []
    for fold in np.unique(pairs.folds):
        held = pairs.where(pairs.folds == fold)
        threshold = best_threshold(pairs.where(pairs.folds != fold))
        shares.append(float(np.mean((held.similarity >= threshold) == held.same)))
        thresholds.append(threshold)
    return Accuracy(
        mean=float(np.mean(shares)),
        std=float(np.std(shares)),
        by_fold=tuple(shares),
        thresholds=tuple(thresholds),
    )


def best_threshold(pairs: ScoredPairs) -> float:
    """The threshold that judges most pairs right; of equally good ones, the middle one.

    Candidates lie half-way between neighbouring similarities, and outside the lowest and highest.
    """
    values, position = np.unique(pairs.similarity, return_inverse=True)
    # Raising the threshold past a value loses its genuine pairs and wins its impostors.
    gain = np.where(pairs.same, -1, 1)
    won = np.concatenate([[0], np.cumsum(np.bincount(position, gain, len(values)))])
    # Below such scores no threshold may lie, even where accepting them would judge more right.
    first = int(values[0] <= NEVER_ACCEPTED)
    best = first + np.flatnonzero(won[first:] == won[first:].max())
    return float(_between(values)[best[(len(best) - 1) // 2]])


def validation_rate(pairs: ScoredPairs, far: float) -> ValidationRate | None:
    """VAL@FAR: the threshold holds ``far`` on nine folds and is judged on the tenth.

    None where nine folds have fewer than 1 / ``far`` impostor pairs.
    """
    check_rates([far])
    vals, fars = [], []
    for fold in np.unique(pairs.folds):
        held, rest = pairs.where(pairs.folds == fold), pairs.where(pairs.folds != fold).impostor
        allowed = allowed_accepts(far, len(rest))
        if allowed is None:
            return None
        threshold = threshold_for(rest, allowed)
        vals.append(_share(held.genuine, threshold))
        fars.append(_share(held.impostor, threshold))
    return ValidationRate(
        far=far,
        mean=float(np.nanmean(vals)),
        std=float(np.nanstd(vals)),
        measured_far=float(np.nanmean(fars)),
    )


def tar_at_far(
    pairs: ScoredPairs, fars: Sequence[float] = FARS
) -> dict[float, OperatingPoint | None]:
    """TAR@FAR over all pairs; None where there are fewer than 1 / FAR impostor pairs."""
    check_rates(fars)
    genuine, impostor = pairs.genuine, pairs.impostor
    points: dict[float, OperatingPoint | None] = {}
    for far in fars:
        allowed = allowed_accepts(far, len(impostor))
        points[far] = None if allowed is None else _point(far, genuine, impostor, allowed)
    return points


def _check(scores: Float64, truth: Bool) -> None:
    if scores.ndim != 1 or scores.shape != truth.shape:
        raise RequestError(
            f"pairs: similarity {scores.shape} and same {truth.shape} do not fit; give (n,) each"
        )
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise RequestError(f"pairs: similarity of pair {bad[0]} is {scores[bad[0]]}; embed again")
    if truth.all() or not truth.any():
        raise RequestError(
            f"pairs: {int(truth.sum())} same and {int((~truth).sum())} different pairs; "
            "both kinds are needed"
        )


def _between(values: Float64) -> Float64:
    middle = values[:-1] / 2 + values[1:] / 2
    # Between neighbouring floats there is no middle: the upper one parts them as well.
    middle = np.where(middle > values[:-1], middle, values[1:])
    lowest = np.maximum(values[:1] - 1e-3, np.nextafter(NEVER_ACCEPTED, 0))
    return np.concatenate([lowest, middle, values[-1:] + 1e-3])


def _point(far: float, genuine: Float64, impostor: Float64, allowed: int) -> OperatingPoint:
    threshold = threshold_for(impostor, allowed)
    low, high = threshold_band(impostor, far)
    return OperatingPoint(
        far=far,
        threshold=threshold,
        true_accepts=int(np.sum(genuine >= threshold)),
        genuine=len(genuine),
        false_accepts=int(np.sum(impostor >= threshold)),
        impostors=len(impostor),
        accepts_between=(int(np.sum(genuine >= high)), int(np.sum(genuine >= low))),
    )


def _share(scores: Float64, threshold: float) -> float:
    return float(np.mean(scores >= threshold)) if len(scores) else float("nan")
