"""Finding one score among very many by its rank: a window around it, narrowed pass by pass."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.evaluate.exact import Float64, Int64
from training.evaluate.scan import BINS_PER_UNIT, LOWEST

KEEP = 1 << 22
"""How many similarities a window may keep; more are only counted, and the window is cut."""

_CUTS = 1 << 16


@dataclass(slots=True, kw_only=True)
class Window:
    """Holds the similarity at ``rank``, the highest having rank 1, in [``low``, ``high``).

    ``expected`` is an upper bound of the similarities inside. When ``resolved``, ``similarity`` is
    the one at the rank and ``exceeding`` how many are strictly higher.
    """

    rank: int
    low: float
    high: float
    expected: int
    keep: int = KEEP
    resolved: bool = False
    similarity: float = float("nan")
    exceeding: int = 0
    _above: int = 0
    _kept: list[Float64] = field(default_factory=list)
    _edges: Float64 | None = None
    _counts: Int64 | None = None

    def add(self, above: int, similarity: Float64) -> None:
        """Count ``above`` and what of ``similarity`` (k,) lies above; take what lies inside."""
        self._above += above + int(np.count_nonzero(similarity >= self.high))
        inside = similarity[(similarity >= self.low) & (similarity < self.high)]
        if self.expected <= self.keep:
            self._kept.append(inside)
            return
        if self._edges is None or self._counts is None:
            self._edges = np.unique(np.linspace(self.low, self.high, _CUTS + 1))
            self._counts = np.zeros(len(self._edges) - 1, dtype=np.int64)
        cut = np.searchsorted(self._edges, inside, side="right") - 1
        self._counts += np.bincount(cut, minlength=len(self._counts))

    def narrow(self) -> None:
        """After all pairs were added: resolve, or go on in a smaller window."""
        place = self.rank - self._above
        if self._edges is not None and self._counts is not None:
            self._cut(place, self._edges, self._counts)
        else:
            values = np.sort(np.concatenate(self._kept))[::-1]
            higher = int(np.count_nonzero(values > values[place - 1]))
            self._settle(float(values[place - 1]), self._above + higher)
        self._above, self._kept, self._edges, self._counts = 0, [], None, None

    def _cut(self, place: int, edges: Float64, counts: Int64) -> None:
        from_top = np.cumsum(counts[::-1])
        index = len(counts) - 1 - int(np.searchsorted(from_top, place))
        self.low, self.high = float(edges[index]), float(edges[index + 1])
        self.expected = int(counts[index])
        if np.nextafter(self.low, self.high) == self.high:
            # One number is left: everything inside ties.
            self._settle(self.low, self._above + int(counts[index + 1 :].sum()))

    def _settle(self, similarity: float, exceeding: int) -> None:
        self.resolved, self.similarity, self.exceeding = True, similarity, exceeding


def window_around(counts: Int64, rank: int, error: float, keep: int = KEEP) -> Window:
    """The window that a histogram of scores, each off by at most ``error``, leaves for ``rank``.

    Sorting moves with its scores: the exact one at a rank lies within ``error`` of the inexact one
    at the same rank.
    """
    from_top = np.cumsum(counts[::-1])
    index = len(counts) - 1 - int(np.searchsorted(from_top, rank))
    low = LOWEST + index / BINS_PER_UNIT - error
    high = LOWEST + (index + 1) / BINS_PER_UNIT + error
    # Inside by an exact score is within the error of the window by an inexact one.
    first = int(np.floor((low - error - LOWEST) * BINS_PER_UNIT))
    last = int(np.floor((high + error - LOWEST) * BINS_PER_UNIT))
    expected = int(counts[max(first, 0) : last + 1].sum())
    return Window(
        rank=rank, low=low, high=float(np.nextafter(high, 3.0)), expected=expected, keep=keep
    )
