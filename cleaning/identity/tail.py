"""The similarity distribution of different people: a robust bulk and an extrapolated tail.

Contamination (mislabelled photos, one person under two names) only ever adds high values, so the
bulk is read from the lower side and the tail below a clip point. From its start on, each tenfold
rarer similarity lies a gap further up, and the gaps shrink by a constant factor: a generalised
Pareto tail, its shape from quantile gaps (Pickands, "Statistical inference using extreme order
statistics", 1975).
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
_GAP_BOUNDS = (0.5, 1.3)
_RATIO_BOUNDS = (0.5, 1.0)
_DEFAULT_GAP = 1.05
_DEFAULT_RATIO = 0.93
"""Gap in scales and ratio where there are too few samples to measure them; photos of faces
measure 0.95–1.12 and 0.91–0.94."""
_MIN_BULK_SAMPLES = 30
_MIN_START_SAMPLES = 200
_MIN_GAP_SAMPLES = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Similarities of different people: bulk ``location`` and ``scale``, then the tail.

    A share ``start_rate`` exceeds ``start``; a tenth of it exceeds ``start + gap``, a hundredth
    ``start + gap + gap · ratio``, and so on. ``samples`` is how many pairs it was measured on;
    0 when it is the prior for lack of any.
    """

    location: float
    scale: float
    start: float
    start_rate: float
    gap: float
    ratio: float
    samples: int

    def similarity_at(self, rate: float) -> float:
        """The similarity that different people exceed at ``rate`` in (0, 1)."""
        if rate >= self.start_rate:
            upper = NormalDist().inv_cdf(1.0 - rate) / NormalDist().inv_cdf(1.0 - self.start_rate)
            return self.location + (self.start - self.location) * upper
        decades = math.log10(self.start_rate / rate)
        if self.ratio >= 1.0:
            return self.start + self.gap * decades
        shrunk: float = self.ratio**decades
        return self.start + self.gap * (1.0 - shrunk) / (1.0 - self.ratio)

    def rates_at(self, similarity: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The rates (n,) at which different people exceed similarities (n,) in the tail.

        Below ``start`` the tail is continued downwards and never exceeds 1.
        """
        gaps = (similarity - self.start) / self.gap
        if self.ratio >= 1.0:
            decades = gaps
        else:
            remaining = np.maximum(1.0 - gaps * (1.0 - self.ratio), 1e-300)
            decades = np.log(remaining) / math.log(self.ratio)
        rates: npt.NDArray[np.float64] = np.minimum(self.start_rate * 10.0**-decades, 1.0)
        return rates


def fit_tail(similarities: npt.NDArray[np.floating], prior: Tail) -> Tail:
    """Fit a tail to samples (n,); fewer than 30 samples return ``prior``."""
    values = np.sort(np.asarray(similarities, dtype=np.float64))
    if len(values) < _MIN_BULK_SAMPLES:
        return prior
    location, scale = _bulk(values)
    values = values[values < location + _TAIL_CLIP * scale]
    gap, ratio = _gaps(values, scale)
    if len(values) < _MIN_START_SAMPLES:
        start_rate, start = 0.05, location + NormalDist().inv_cdf(0.95) * scale
    else:
        start_rate = 0.05 if len(values) < 10 * _MIN_START_SAMPLES else 0.01
        start = float(np.quantile(values, 1.0 - start_rate))
    return Tail(
        location=location,
        scale=scale,
        start=start,
        start_rate=start_rate,
        gap=gap,
        ratio=ratio,
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
        gap=_DEFAULT_GAP * scale,
        ratio=_DEFAULT_RATIO,
        samples=0,
    )


def _bulk(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Median and lower-half scale of sorted values, clipping the upper side until it settles."""
    kept = len(values)
    location = scale = 0.0
    for _ in range(50):
        location = _middle(values, kept)
        below = int(np.searchsorted(values, location))
        scale = (location - _middle(values, below)) * _LOWER_HALF_TO_SCALE if below else 0.0
        scale = max(scale, 1e-6)
        clipped = int(np.searchsorted(values, location + _BULK_CLIP * scale, side="right"))
        if clipped == kept:
            break
        kept = clipped
    return location, scale


def _middle(values: npt.NDArray[np.float64], count: int) -> float:
    """The median of the first ``count`` of sorted values."""
    return float(values[(count - 1) // 2] + values[count // 2]) / 2.0


def _gaps(values: npt.NDArray[np.float64], scale: float) -> tuple[float, float]:
    """The gap from rate 1e-2 to 1e-3, and the ratio of each further gap to the one before."""
    if len(values) < _MIN_GAP_SAMPLES:
        return _DEFAULT_GAP * scale, _DEFAULT_RATIO
    first, second, third = np.quantile(values, [0.9, 0.99, 0.999])
    gap = float(np.clip(third - second, _GAP_BOUNDS[0] * scale, _GAP_BOUNDS[1] * scale))
    measured = float(np.clip(gap / (second - first), *_RATIO_BOUNDS))
    # Gaps shrink ever more slowly (a Gaussian's by 0.72, 0.83, 0.86 …), so the next ratio lies
    # about half-way between the last one and 1.
    return gap, (1.0 + measured) / 2.0
