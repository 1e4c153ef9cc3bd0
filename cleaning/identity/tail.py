"""The similarity distribution of different people: a robust bulk and an extrapolated tail.

Contamination (mislabelled photos, one person under two names) only ever adds high values, so the
bulk is read from the lower side and the tail between its start and a clip point. Beyond the start
the survival function is exponential: peaks over threshold (Pickands, "Statistical inference using
extreme order statistics", 1975) with shape 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

_BULK_CLIP = 2.5
"""Values more scales than this above the median do not shape the bulk."""
_TAIL_CLIP = 6.0
"""Values more scales than this above the median are taken for one person seen twice."""
_LOWER_HALF_TO_SCALE = 1.0 / NormalDist().inv_cdf(0.75)
_DECAY_BOUNDS = (0.3, 0.6)
_DEFAULT_DECAY = 0.45
"""Decay in scales where there are too few samples to measure it (photos of faces: 0.43–0.45)."""
_MIN_BULK_SAMPLES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Similarities of different people: bulk ``location`` and ``scale``, then the tail.

    The rate of exceeding ``similarity`` ≥ ``start`` is
    ``start_rate · exp(−(similarity − start) / decay)``. ``samples`` is how many pairs it was
    measured on; 0 when it is the prior for lack of any.
    """

    location: float
    scale: float
    start: float
    start_rate: float
    decay: float
    samples: int

    def similarity_at(self, rate: float) -> float:
        """The similarity that different people exceed at ``rate`` in (0, 1)."""
        if rate >= self.start_rate:
            upper = NormalDist().inv_cdf(1.0 - rate) / NormalDist().inv_cdf(1.0 - self.start_rate)
            return self.location + (self.start - self.location) * upper
        return self.start + self.decay * math.log(self.start_rate / rate)


def fit_tail(similarities: npt.NDArray[np.floating], prior: Tail) -> Tail:
    """Fit a tail to samples (n,); fewer than 30 samples return ``prior``."""
    values = np.sort(np.asarray(similarities, dtype=np.float64))
    if len(values) < _MIN_BULK_SAMPLES:
        return prior
    location, scale = _bulk(values)
    values = values[values < location + _TAIL_CLIP * scale]
    if len(values) < 200:
        start_rate, decay = 0.05, _DEFAULT_DECAY * scale
        start = location + NormalDist().inv_cdf(0.95) * scale
    else:
        start_rate = 0.05 if len(values) < 2000 else 0.01
        start = float(np.quantile(values, 1.0 - start_rate))
        excess = float(np.median(values[values > start])) - start
        low, high = _DECAY_BOUNDS
        decay = float(np.clip(excess / math.log(2.0), low * scale, high * scale))
    return Tail(
        location=location,
        scale=scale,
        start=start,
        start_rate=start_rate,
        decay=decay,
        samples=len(values),
    )


def prior_tail(dimensions: int) -> Tail:
    """What to assume without a single pair of different people: no shared offset, wide spread."""
    scale = 1.5 / math.sqrt(max(dimensions, 1))
    return Tail(
        location=0.0,
        scale=scale,
        start=NormalDist().inv_cdf(0.95) * scale,
        start_rate=0.05,
        decay=_DEFAULT_DECAY * scale,
        samples=0,
    )


def _bulk(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Median and lower-half scale of sorted values, clipping the upper side until it settles."""
    kept = len(values)
    location = scale = 0.0
    for _ in range(50):
        inside = values[:kept]
        location = float(np.median(inside))
        below = location - inside[inside < location]
        scale = float(np.median(below)) * _LOWER_HALF_TO_SCALE if len(below) else 0.0
        scale = max(scale, 1e-6)
        clipped = int(np.searchsorted(values, location + _BULK_CLIP * scale, side="right"))
        if clipped == kept:
            break
        kept = clipped
    return location, scale
