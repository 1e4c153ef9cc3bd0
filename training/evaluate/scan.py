"""What an N:N evaluation asks of its arithmetic, and the answer on the processor.

A backend keeps a stripe of probes and looks at blocks of gallery faces by float32 products. These
lie within :func:`~training.evaluate.exact.product_error` of the similarity, so they are asked only
for what survives that: which pairs may lie in a window, and a histogram to choose windows by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from training.evaluate.comparison import Columns
from training.evaluate.exact import Float32, Int64

BINS_PER_UNIT = 1 << 17
LOWEST = -2.0
"""Below every product; skipped pairs get it."""
ALL = -1.5
"""Between that and the products of unit rows."""
BINS = 4 * BINS_PER_UNIT

_TILE_ROWS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Products from ``low`` to ``high``, both included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How many products lie ``above`` a reach; ``row`` and ``column`` (k,) of those inside.

    ``reach`` is its place among those asked for.
    """

    reach: int
    above: int
    row: Int64
    column: Int64


class Stripe(Protocol):
    """Some probes, ready to be compared."""

    def histogram(self, columns: Columns) -> Int64:
        """Counts (BINS,) of products, without those of skipped pairs.

        Bin i starts at LOWEST + i / BINS_PER_UNIT.
        """
        ...

    def find(self, columns: Columns, reaches: Sequence[Reach]) -> Iterator[Found]:
        """What lies above each reach and inside; rows of the stripe, columns' rows.

        In as many parts as suit the memory, which together hold every pair once for each reach.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Arithmetic by ``prepare``, with the size of stripe and block that suits it."""

    prepare: Callable[[Float32], Stripe]
    stripe: int
    width: int


class CpuStripe:
    """Products by numpy, in tiles that stay in the cache."""

    def __init__(self, rows: Float32) -> None:
        self._rows = rows

    def histogram(self, columns: Columns) -> Int64:
        """See :class:`Stripe`."""
        counts = np.zeros(BINS, dtype=np.int64)
        for _, product in self._tiles(columns):
            scaled = product[product >= ALL] * np.float32(BINS_PER_UNIT)
            bins = np.floor(scaled).astype(np.int64) - int(LOWEST * BINS_PER_UNIT)
            counts += np.bincount(bins, minlength=BINS)
        return counts

    def find(self, columns: Columns, reaches: Sequence[Reach]) -> Iterator[Found]:
        """See :class:`Stripe`."""
        least = min(reach.low for reach in reaches)
        parts: list[list[Found]] = [[] for _ in reaches]
        for start, product in self._tiles(columns):
            flat = np.flatnonzero(product >= least)
            values = product.ravel()[flat]
            for index, reach in enumerate(reaches):
                inside = flat[(values >= reach.low) & (values <= reach.high)]
                row, column = np.divmod(inside, product.shape[1])
                above = int(np.count_nonzero(values > reach.high))
                found = Found(reach=index, above=above, row=row + start, column=column)
                parts[index].append(found)
        return map(_joined, parts)

    def _tiles(self, columns: Columns) -> Iterator[tuple[int, Float32]]:
        """Products of some rows, from row ``start`` on, with all columns; valid until the next."""
        space = np.empty((_TILE_ROWS, len(columns.rows)), dtype=np.float32)
        for start in range(0, len(self._rows), _TILE_ROWS):
            rows = self._rows[start : start + _TILE_ROWS]
            product = np.matmul(rows, columns.rows.T, out=space[: len(rows)])
            skip_from = columns.skip_from[start : start + _TILE_ROWS]
            skip_to = columns.skip_to[start : start + _TILE_ROWS]
            for row in np.flatnonzero(skip_from < skip_to):
                product[row, skip_from[row] : skip_to[row]] = LOWEST
            yield start, product


CPU = Backend(prepare=CpuStripe, stripe=8192, width=2048)


def _joined(parts: Sequence[Found]) -> Found:
    return Found(
        reach=parts[0].reach,
        above=sum(part.above for part in parts),
        row=np.concatenate([part.row for part in parts]),
        column=np.concatenate([part.column for part in parts]),
    )
