"""Similarity histograms, binned once and drawn as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from cleaning.export.wording import count_of, share_of

_LOW, _HIGH, _BINS = -0.4, 1.0, 70
_WIDTH, _HEIGHT = 600, 250
_EVERY_OTHER = ("", ' class="odd"')  # a narrow screen hides these numbers
_LEFT, _RIGHT, _TOP, _BOTTOM = 16, 16, 46, 28


class Tone(StrEnum):
    """The role of a series, which gives its colour."""

    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A cut drawn into a histogram; similarities at or above ``value`` pass."""

    label: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One distribution: counts per bin, and how many values pass each threshold."""

    label: str
    tone: Tone
    total: int
    counts: tuple[int, ...]
    passing: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Distributions of similarities with the thresholds that judged them."""

    title: str
    series: tuple[Series, ...]
    thresholds: tuple[Threshold, ...]

    @property
    def captions(self) -> list[str]:
        """One sentence per threshold: what share of each series passes it."""
        return [
            f"{threshold.label} {threshold.value:.3f}: at or above it are "
            + ", ".join(
                f"{share_of(series.passing[i], series.total)} of {series.label.lower()}"
                for series in self.series
            )
            + "."
            for i, threshold in enumerate(self.thresholds)
        ]


def make_histogram(
    title: str,
    similarities: Mapping[tuple[str, Tone], npt.NDArray[np.floating]],
    thresholds: Sequence[Threshold],
) -> Histogram:
    """Bin similarities into 70 bins from -0.4 to 1; values beyond go to the outermost bins.

    Args:
        title: what the histogram shows.
        similarities: ``(n,)`` cosines per series, keyed by label and tone.
        thresholds: the cuts to draw.
    """
    series: list[Series] = []
    for (label, tone), given in similarities.items():
        values = np.asarray(given, dtype=np.float64)
        counts, _ = np.histogram(np.clip(values, _LOW, _HIGH), bins=_BINS, range=(_LOW, _HIGH))
        series.append(
            Series(
                label=label,
                tone=tone,
                total=len(values),
                counts=tuple(int(count) for count in counts),
                passing=tuple(int((values >= cut.value).sum()) for cut in thresholds),
            )
        )
    return Histogram(title=title, series=tuple(series), thresholds=tuple(thresholds))


def draw(histogram: Histogram) -> Markup:
    """Return the histogram as SVG; each series is scaled to its own total."""
    top = max((c / s.total for s in histogram.series if s.total for c in s.counts), default=1.0)
    body = [_axis(), *(_area(series, top) for series in histogram.series if series.total)]
    body += [_cut(cut, place) for place, cut in enumerate(histogram.thresholds)]
    body += [_hints(histogram.series)]
    label = escape("; ".join([histogram.title, *histogram.captions]))
    return Markup(  # every text in it is escaped above or by its part
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(body)}</svg>"
    )


def _x(similarity: float) -> float:
    clipped = min(max(similarity, _LOW), _HIGH)
    return _LEFT + (clipped - _LOW) / (_HIGH - _LOW) * (_WIDTH - _LEFT - _RIGHT)


def _y(height: float) -> float:
    """Return the pixel row of a height in [0, 1]."""
    return _HEIGHT - _BOTTOM - height * (_HEIGHT - _TOP - _BOTTOM)


def _axis() -> str:
    floor = _y(0)
    ticks = "".join(
        f'<text x="{_x(tick):.1f}" y="{_HEIGHT - 8}"{_EVERY_OTHER[place % 2]}>'
        f'{tick:.1f}</text><path d="M{_x(tick):.1f} {floor:.1f}v4"/>'
        for place, tick in enumerate((-0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    )
    return f'<g class="axis"><path d="M{_LEFT} {floor:.1f}H{_WIDTH - _RIGHT}"/>{ticks}</g>'


def _area(series: Series, top: float) -> str:
    steps = "".join(
        f"V{_y(count / series.total / top):.1f}H{_x(_LOW + (i + 1) * (_HIGH - _LOW) / _BINS):.1f}"
        for i, count in enumerate(series.counts)
    )
    return f'<path class="area {series.tone}" d="M{_LEFT} {_y(0):.1f}{steps}V{_y(0):.1f}Z"/>'


def _cut(cut: Threshold, place: int) -> str:
    """Draw a threshold; labels take turns on two lines so that near ones stay readable."""
    x, row = _x(cut.value), 14 + 18 * (place % 2)
    side, anchor = (-5, "end") if x > _WIDTH * 0.6 else (5, "start")
    return (
        f'<g class="cut"><path d="M{x:.1f} {row - 10}V{_y(0):.1f}"/>'
        f'<text x="{x + side:.1f}" y="{row}" text-anchor="{anchor}">'
        f"{escape(cut.label)} {cut.value:.3f}</text></g>"
    )


def _hints(series: Sequence[Series]) -> str:
    """Invisible columns that say the numbers of a bin under the pointer."""
    step = (_HIGH - _LOW) / _BINS
    columns: list[str] = []
    for i in range(_BINS):
        found = [f"{one.label}: {count_of(one.counts[i], 'value')}" for one in series]
        if not any(one.counts[i] for one in series):
            continue
        low = _LOW + i * step
        text = escape(f"{low:.2f} to {low + step:.2f}\n" + "\n".join(found))
        columns.append(
            f'<rect x="{_x(low):.1f}" y="{_TOP}" width="{_x(low + step) - _x(low):.1f}" '
            f'height="{_HEIGHT - _TOP - _BOTTOM}"><title>{text}</title></rect>'
        )
    return f'<g class="hints">{"".join(columns)}</g>'
