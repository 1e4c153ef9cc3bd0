"""Where the impostor similarity at a rank probably lies, judged from a sample of pairs.

The sample is many small blocks, each of random probes and random gallery faces: a matrix product
each, and yet few pairs that share a face. How much the blocks differ tells how far the estimate may
be off, also where a few faces are close to very many.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.evaluate.comparison import Columns, Comparison
from training.evaluate.exact import Float32, Float64, Int64
from training.evaluate.scan import ALL, BINS, BINS_PER_UNIT, LOWEST
from training.evaluate.window import TOP

SIDE = 2048
"""Probes and gallery faces of a block, at most."""
DEVIATIONS = 5.0
"""A window reaches so many standard deviations to both sides of the estimate."""

_SHARE = 64
_FEWEST, _MOST = 16, 512


def count_blocks(impostors: int) -> int:
    """How many blocks to look at: one of 64 ``impostors`` pairs, but at most 2³¹."""
    wanted = impostors // (_SHARE * SIDE**2)
    return min(max(wanted, _FEWEST), _MOST)


def random_block(comparison: Comparison, seed: int) -> tuple[Float32, Columns]:
    """Probes (p, d) and gallery columns that skip their identities, drawn with replacement."""
    rng = np.random.default_rng(seed)
    probes, gallery = comparison.probes, comparison.gallery
    probe = rng.integers(len(probes), size=min(SIDE, len(probes)))
    column = np.sort(rng.integers(len(gallery), size=min(SIDE, len(gallery))))
    known, wanted = gallery.identity[column], probes.identity[probe]
    columns = Columns(
        rows=gallery.pick(column),
        skip_from=np.searchsorted(known, wanted, side="left"),
        skip_to=np.searchsorted(known, wanted, side="right"),
    )
    return probes.pick(probe), columns


def _zeros() -> Float64:
    return np.zeros(BINS)


@dataclass(slots=True, kw_only=True)
class Sample:
    """Sums over blocks: for each bin, of the pairs from it on, and of that number squared."""

    _blocks: int = 0
    _pairs: Float64 = field(default_factory=_zeros)
    _squares: Float64 = field(default_factory=_zeros)

    def add(self, counts: Int64) -> None:
        """Add one block's products as counts (BINS,)."""
        pairs = np.cumsum(counts[::-1])[::-1].astype(np.float64)
        self._blocks += 1
        self._pairs += pairs
        self._squares += pairs**2

    def around(self, rank: int, total: int) -> tuple[float, float]:
        """From where to below where the similarity at ``rank`` of ``total`` pairs probably lies."""
        expected = rank * self._pairs[0] / total
        # Independent pairs spread as a Poisson number does; pairs that share faces more.
        between = self._squares - self._pairs**2 / self._blocks
        spread = DEVIATIONS * np.sqrt(np.maximum(self._pairs, between))
        enough = np.flatnonzero(self._pairs - spread > expected)
        few = np.flatnonzero(self._pairs + spread + DEVIATIONS**2 <= expected)
        low = LOWEST + enough[-1] / BINS_PER_UNIT if enough.size else ALL
        high = LOWEST + few[0] / BINS_PER_UNIT if few.size else TOP
        return float(low), float(high)
