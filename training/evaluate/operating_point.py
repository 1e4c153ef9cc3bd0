"""One point of a verification curve: exact counts at a false accept rate, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from facedata.errors import RequestError

Interval = tuple[float, float]

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """Counts when a pair is accepted at ``similarity >= threshold``.

    ``threshold`` is the lowest at which at most ``far`` of the impostor pairs are accepted.
    ``true_accepts`` of ``genuine`` and ``false_accepts`` of ``impostors`` pairs pass it.
    ``accepts_between`` are the fewest and most genuine pairs that pass where the threshold may lie
    (:func:`threshold_band`); without it ``tar_interval`` takes the threshold for given.
    """

    far: float
    threshold: float
    true_accepts: int
    genuine: int
    false_accepts: int
    impostors: int
    accepts_between: tuple[int, int] | None = None

    @property
    def tar(self) -> float:
        """True accept rate in [0, 1]."""
        return self.true_accepts / self.genuine

    @property
    def measured_far(self) -> float:
        """False accept rate in [0, 1]; below ``far`` when scores tie or counts do not divide."""
        return self.false_accepts / self.impostors

    @property
    def tar_interval(self) -> Interval:
        """95 % interval of the true accept rate at ``far``; see :func:`interval_between`."""
        if self.accepts_between is None:
            return clopper_pearson(self.true_accepts, self.genuine)
        return interval_between(self.accepts_between, self.genuine)

    @property
    def far_interval(self) -> Interval:
        """95 % interval of ``measured_far``."""
        return clopper_pearson(self.false_accepts, self.impostors)


def clopper_pearson(hits: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """The exact interval of a binomial share (Clopper and Pearson, Biometrika 26, 1934).

    It covers at least ``confidence`` when trials are independent. Pairs that share faces are not:
    there the true interval is wider.
    """
    outside = (1 - confidence) / 2
    low = stats.beta.ppf(outside, hits, trials - hits + 1) if hits > 0 else 0.0
    high = stats.beta.ppf(1 - outside, hits + 1, trials - hits) if hits < trials else 1.0
    return float(low), float(high)


def interval_between(hits: tuple[int, int], trials: int) -> Interval:
    """95 % interval of a share whose threshold was itself found on a sample of impostors.

    ``hits`` are the fewest and most of ``trials`` that pass within :func:`threshold_band`. Band and
    share each get half of the allowed error (Bonferroni), so that both hold in 95 % of samples.
    """
    half = (1 + CONFIDENCE) / 2
    return clopper_pearson(hits[0], trials, half)[0], clopper_pearson(hits[1], trials, half)[1]


def threshold_band(impostor: NDArray[np.float64], rate: float) -> Interval:
    """Where the threshold that accepts ``rate`` of all impostors lies, with 97.5 % confidence.

    The lower and upper end, order statistics of the scores (n,): how many of n independent scores
    lie above the true threshold is binomial, whatever their distribution (David and Nagaraja, Order
    Statistics, 2003, 7.1). An end that n scores are too few for is infinite.
    """
    count, outside = len(impostor), (1 - CONFIDENCE) / 4
    most = int(stats.binom.ppf(1 - outside, count, rate))
    fewest = int(stats.binom.ppf(outside, count, rate))
    # The quantile is the first count with at least this probability below: one less is surely rare.
    if stats.binom.cdf(fewest, count, rate) > outside:
        fewest -= 1
    low, high = -np.inf, np.inf
    if most < count:
        low = float(np.partition(impostor, count - 1 - most)[count - 1 - most])
    if fewest >= 0:
        high = threshold_for(impostor, fewest)
    return low, high


def allowed_accepts(rate: float, trials: int) -> int | None:
    """How many of ``trials`` may be accepted at ``rate``; None where that is less than one.

    A rate below 1 / ``trials`` cannot be measured with so few, and nothing is extrapolated. The
    product is taken in decimals: 0.29 of 100 are 29.
    """
    allowed = int(Fraction(repr(float(rate))) * trials)
    return allowed if allowed >= 1 else None


def check_rates(rates: Sequence[float]) -> None:
    """Refuse rates outside (0, 1)."""
    for rate in rates:
        if not 0 < rate < 1:
            raise RequestError(f"evaluation: rate {rate} is not between 0 and 1; give e.g. 1e-4")


def threshold_above(similarity: float) -> float:
    """The lowest threshold that a score of ``similarity`` does not pass."""
    return float(np.nextafter(similarity, np.inf))


def threshold_for(impostor: NDArray[np.float64], allowed: int) -> float:
    """The lowest threshold that at most ``allowed`` of the scores (n,) pass; ``allowed`` < n."""
    position = len(impostor) - 1 - allowed
    return threshold_above(float(np.partition(impostor, position)[position]))
