"""The ``auto`` threshold for merge candidates, from a target false-match rate of class pairs.

What decides a pair of classes is the greatest similarity among all pairs of their faces, an
extreme value: it grows with the number of face pairs m·n. Its excess over ``slope · ln(m·n)`` is
modelled with the same robust tail as single pairs, and the threshold is the similarity that the
target share of all different-person class pairs, with their true sizes, is expected to reach.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cleaning.identity.calibrate import calibrate_pairs
from cleaning.identity.faceset import FloatArray, IntArray
from cleaning.identity.tail import Tail, fit_tail
from facedata.errors import RecipeError

_SAMPLE_FACES = 5000
_FACES_PER_CLASS = 50
_MIN_CLASS_PAIRS = 300
_EXTREMAL_INDEX = 0.75
"""Share of ln(m·n) that counts where too few classes are there to measure it: the faces of a
class resemble each other, so m·n pairs are fewer independent chances (photos: 0.67–0.8)."""
_MAX_FALSE_PER_CLASS = 0.02
"""Below the same-person level, the threshold is lowered no further than this many expected
false candidates per class."""
_SIZE_BINS = 64
_MIN_SPLIT_FACES = 4
_MIN_SPLIT_CLASSES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCalibration:
    """The merge-candidate threshold and its evidence; similarities of the nearest face pair.

    ``expected_false`` candidates among ``class_pairs`` pairs of classes at ``threshold``.
    ``at_target`` is the similarity for the target rate alone; the threshold is lower where
    that would lie above ``same_decile``, which one in ten same-person pairs of photos misses,
    as long as that costs few false candidates. It never lies above ``halves``: the nearest faces
    of a class's two halves reach that in 19 of 20 classes, and so would one person under two
    names; 1 where too few classes are there to tell. ``maxima`` is the fitted tail, ``slope`` its
    growth per ln(m·n).
    """

    threshold: float
    at_target: float
    same_decile: float
    halves: float
    expected_false: float
    class_pairs: int
    slope: float
    maxima: Tail


def calibrate_merge(
    embeddings: FloatArray, identity: IntArray, target_fmr: float, seed: int
) -> MergeCalibration:
    """Calibrate on the main clusters that will be joined.

    Args:
        embeddings: float32 (n, d), unit rows, one per shipped face.
        identity: int64 (n,), the face's class.
        target_fmr: share of different-person class pairs to let through, in (0, 1).
        seed: draws the sample.

    Raises:
        RecipeError: when ``target_fmr`` is out of range.
    """
    if not 0.0 < target_fmr < 1.0:
        raise RecipeError(
            f"inter.target_fmr: {target_fmr} is not a rate; give a number between 0 and 1"
        )
    photo = np.arange(len(identity), dtype=np.int64)
    pairs = calibrate_pairs(embeddings, photo, identity, seed)
    maxima, slope = _fit_maxima(embeddings, identity, pairs.different, seed)
    sizes = _size_pairs(identity)
    class_pairs = float(sizes[:, 1].sum())
    at_target = _solve(maxima, slope, sizes, target_fmr * class_pairs)
    classes = len(np.unique(identity))
    affordable = _solve(maxima, slope, sizes, _MAX_FALSE_PER_CLASS * classes)
    halves = _nearest_between_halves(embeddings, identity, seed)
    threshold = min(at_target, max(pairs.same_decile, affordable), halves)
    return MergeCalibration(
        threshold=threshold,
        at_target=at_target,
        same_decile=pairs.same_decile,
        halves=halves,
        expected_false=_expected(maxima, slope, sizes, threshold),
        class_pairs=round(class_pairs),
        slope=slope,
        maxima=maxima,
    )


def _nearest_between_halves(embeddings: FloatArray, identity: IntArray, seed: int) -> float:
    """The similarity that the nearest faces of a class's halves reach in 19 of 20 classes."""
    sample = _sample_classes(identity, np.random.default_rng(seed))
    order = sample[np.argsort(identity[sample], kind="stable")]
    starts = np.flatnonzero(np.diff(identity[order], prepend=-1))
    groups = np.split(order, starts[1:]) if len(order) else []
    nearest = [
        float((embeddings[group[::2]] @ embeddings[group[1::2]].T).max())
        for group in groups
        if len(group) >= _MIN_SPLIT_FACES
    ]
    return float(np.quantile(nearest, 0.05)) if len(nearest) >= _MIN_SPLIT_CLASSES else 1.0


def _fit_maxima(
    embeddings: FloatArray, identity: IntArray, different: Tail, seed: int
) -> tuple[Tail, float]:
    """The tail of size-corrected maxima, and the correction's slope per ln(m·n)."""
    slope = _EXTREMAL_INDEX * different.gap / math.log(10)
    sample = _sample_classes(identity, np.random.default_rng(seed))
    maxima, log_size = _class_pair_maxima(embeddings[sample], identity[sample])
    if len(maxima) < _MIN_CLASS_PAIRS:
        return different, slope
    slope = _measured_slope(maxima, log_size, slope)
    return fit_tail(maxima - slope * log_size, different), slope


def _sample_classes(identity: IntArray, rng: np.random.Generator) -> IntArray:
    """Rows of randomly drawn classes, at most 50 of each and about 5,000 in all."""
    rows: list[IntArray] = []
    taken = 0
    order = np.argsort(identity, kind="stable")
    starts = np.flatnonzero(np.diff(identity[order], prepend=-1))
    groups = np.split(order, starts[1:]) if len(order) else []
    for group in rng.permutation(len(groups)):
        if taken >= _SAMPLE_FACES:
            break
        members = groups[group]
        if len(members) > _FACES_PER_CLASS:
            members = rng.choice(members, size=_FACES_PER_CLASS, replace=False)
        rows.append(members)
        taken += len(members)
    return np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)


def _class_pair_maxima(
    embeddings: FloatArray, identity: IntArray
) -> tuple[FloatArray, npt.NDArray[np.float64]]:
    """Greatest similarity of each pair of classes, and ln of their number of face pairs."""
    if not len(identity):
        return np.zeros(0, dtype=np.float32), np.zeros(0)
    order = np.argsort(identity, kind="stable")
    _, first, count = np.unique(identity[order], return_index=True, return_counts=True)
    similarity = embeddings[order] @ embeddings[order].T
    greatest = np.maximum.reduceat(np.maximum.reduceat(similarity, first, axis=0), first, axis=1)
    upper = np.triu_indices(len(first), k=1)
    return greatest[upper], np.log(np.outer(count, count)[upper].astype(np.float64))


def _measured_slope(
    maxima: FloatArray, log_size: npt.NDArray[np.float64], fallback: float
) -> float:
    """Slope of the median maximum over ln(m·n), where the sizes differ enough to tell."""
    edges = np.unique(np.quantile(log_size, np.linspace(0, 1, 9)))
    if len(edges) < 4 or edges[-1] - edges[0] < math.log(4):
        return fallback
    which = np.clip(np.searchsorted(edges, log_size, side="right") - 1, 0, len(edges) - 2)
    bins = np.unique(which)
    centres = [float(np.median(log_size[which == b])) for b in bins]
    medians = [float(np.median(maxima[which == b])) for b in bins]
    return max(0.0, float(np.polyfit(centres, medians, 1)[0]))


def _size_pairs(identity: IntArray) -> npt.NDArray[np.float64]:
    """Rows of (ln(m·n), number of class pairs), class sizes in at most 64 logarithmic bins."""
    _, count = np.unique(identity, return_counts=True)
    log_count = np.log(count.astype(np.float64))
    values, number = np.unique(log_count, return_counts=True)
    if len(values) > _SIZE_BINS:
        edges = np.linspace(values[0], values[-1], _SIZE_BINS)
        values, number = np.unique(edges[np.searchsorted(edges, log_count)], return_counts=True)
    pairs = np.outer(number, number).astype(np.float64)
    pairs[np.diag_indices(len(number))] -= number
    size = values[:, None] + values[None, :]
    return np.stack([size.ravel(), pairs.ravel() / 2.0], axis=1)


def _expected(
    maxima: Tail, slope: float, sizes: npt.NDArray[np.float64], similarity: float
) -> float:
    rates = maxima.rates_at(similarity - slope * sizes[:, 0])
    return float((rates * sizes[:, 1]).sum())


def _solve(maxima: Tail, slope: float, sizes: npt.NDArray[np.float64], expected: float) -> float:
    """The similarity that ``expected`` different-person class pairs reach, by bisection."""
    low, high = -1.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _expected(maxima, slope, sizes, middle) > expected:
            low = middle
        else:
            high = middle
    return high
