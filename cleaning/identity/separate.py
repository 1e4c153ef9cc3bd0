"""Telling two distributions apart that were only seen mixed with each other.

Pairs of faces from different classes are mostly different people, with some of the same person
among them: misfiled photos, one person under two names. Pairs inside a class are the other way
round. Neither share is known. Where two samples are mixtures of the same two distributions in
different proportions, the greatest share of one that can be taken out of the other is the least
ratio of their tails, and what is left is one distribution alone (mutual contamination: Blanchard
and Scott, "Decontamination of mutually contaminated models", AISTATS 2014).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Sample = npt.NDArray[np.floating]

_MIN_SAMPLES = 50
_BINS = 64
_TAIL_SHARES = np.linspace(0.05, 0.5, 19)
"""Shares of the other sample's tail at which the ratio is read: in less there is only chance, in
more the own distribution counts."""


def separate(across: Sample, inside: Sample) -> tuple[Sample, Sample]:
    """Thin out what each sample holds of the other's distribution.

    Args:
        across: similarities (n,) of pairs from different classes.
        inside: similarities (m,) of pairs from the same class.

    Returns:
        Different-person and same-person similarities, sorted subsets of ``across`` and
        ``inside``. With fewer than 50 of either, both are returned whole.
    """
    across, inside = np.sort(across), np.sort(inside)
    if min(len(across), len(inside)) < _MIN_SAMPLES:
        return across, inside
    different = _thinned(across, inside, _greatest_share(across, inside))
    # Mirrored, a lower tail is an upper one.
    low_inside, low_different = -inside[::-1], -different[::-1]
    same = _thinned(low_inside, low_different, _greatest_share(low_inside, low_different))
    return different, -same[::-1]


def _greatest_share(mixed: Sample, other: Sample) -> float:
    """The greatest share of ``mixed`` that can be ``other``, from their upper tails."""
    thresholds = np.quantile(other, 1.0 - _TAIL_SHARES)
    mixed_tail = 1.0 - np.searchsorted(mixed, thresholds, side="left") / len(mixed)
    other_tail = 1.0 - np.searchsorted(other, thresholds, side="left") / len(other)
    return float(np.clip((mixed_tail / other_tail).min(), 0.0, 1.0))


def _thinned(mixed: Sample, other: Sample, share: float) -> Sample:
    """Sorted ``mixed`` (n,) without ``share`` · n values distributed like ``other``.

    Bins are quantiles of both, so that each holds enough to compare; values are taken out of a
    bin evenly.
    """
    quantiles = np.linspace(0.0, 1.0, _BINS + 1)[1:-1]
    edges = np.unique(
        np.concatenate([np.quantile(mixed, quantiles), np.quantile(other, quantiles)])
    )
    start = np.concatenate([[0], np.searchsorted(mixed, edges), [len(mixed)]])
    found = np.diff(start)
    expected = (
        share
        * len(mixed)
        * np.diff(np.concatenate([[0], np.searchsorted(other, edges), [len(other)]]))
        / len(other)
    )
    kept = np.rint(np.clip(found - expected, 0.0, None)).astype(np.int64)
    taken = [
        first + (np.arange(count) * size) // count
        for first, size, count in zip(start[:-1], found, kept, strict=True)
        if count
    ]
    return mixed[np.concatenate(taken)] if taken else mixed[:0]
