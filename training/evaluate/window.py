"""Finding one score among very many by its rank: a window that is moved and cut pass by pass."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.evaluate.exact import STEP, Float64, Int64
from training.evaluate.scan import ALL

KEEP = 1 << 23
"""How many similarities a window may keep; when there are more, its parts are counted."""
TOP = 1.5
"""Above every similarity of unit rows."""

_CUTS = 1 << 16
_WIDER = 16
"""A window that missed is followed by one beside it, so many times as wide."""


@dataclass(slots=True, kw_only=True)
class Window:
    """Looks for the similarity at ``rank``, the highest having rank 1, in [``low``, ``high``).

    Both ends are multiples of ``STEP``, as similarities are.
    When ``resolved``, ``similarity`` is the one at the rank and ``exceeding`` how many are strictly
    higher.
    """

    rank: int
    low: float
    high: float
    keep: int = KEEP
    resolved: bool = False
    similarity: float = float("nan")
    exceeding: int = 0
    _above: int = 0
    _inside: int = 0
    _kept: list[Float64] = field(default_factory=list)
    _edges: Float64 | None = None
    _counts: Int64 | None = None

    def add(self, above: int, similarity: Float64) -> None:
        """Count ``above`` and what of ``similarity`` (k,) lies above; take what lies inside."""
        self._above += above + int(np.count_nonzero(similarity >= self.high))
        inside = similarity[(similarity >= self.low) & (similarity < self.high)]
        self._inside += len(inside)
        self._kept.append(inside)
        if self._inside > self.keep:
            self._count()

    def narrow(self) -> None:
        """After all pairs were added: resolve, or go on in a smaller window, or beside it."""
        place = self.rank - self._above
        reach = _WIDER * (self.high - self.low)
        if place < 1:
            self.low, self.high = self.high, min(self.high + reach, TOP)
        elif place > self._inside:
            self.low, self.high = max(self.low - reach, ALL), self.low
        elif self._edges is not None and self._counts is not None:
            self._cut(place, self._edges, self._counts)
        else:
            values = np.sort(np.concatenate(self._kept))
            similarity = float(values[len(values) - place])
            higher = len(values) - int(np.searchsorted(values, similarity, side="right"))
            self._settle(similarity, self._above + higher)
        self._above, self._inside, self._kept, self._edges, self._counts = 0, 0, [], None, None

    def _count(self) -> None:
        """Count in which part of the window the kept ones lie, and keep them no longer."""
        if self._edges is None or self._counts is None:
            even = np.linspace(self.low, self.high, _CUTS + 1)
            self._edges = np.unique(np.rint(even / STEP) * STEP)
            self._counts = np.zeros(len(self._edges) - 1, dtype=np.int64)
        part = np.searchsorted(self._edges, np.concatenate(self._kept), side="right") - 1
        self._counts += np.bincount(part, minlength=len(self._counts))
        self._kept = []

    def _cut(self, place: int, edges: Float64, counts: Int64) -> None:
        from_top = np.cumsum(counts[::-1])
        index = len(counts) - 1 - int(np.searchsorted(from_top, place))
        self.low, self.high = float(edges[index]), float(edges[index + 1])
        if self.high - self.low == STEP:
            # One number is left: everything inside ties.
            self._settle(self.low, self._above + int(counts[index + 1 :].sum()))

    def _settle(self, similarity: float, exceeding: int) -> None:
        self.resolved, self.similarity, self.exceeding = True, similarity, exceeding
