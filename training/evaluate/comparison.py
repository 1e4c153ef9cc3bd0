"""Which pairs an N:N evaluation compares, and how they are cut into stripes and blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluate.exact import (
    Embeddings,
    Float32,
    Float64,
    Int64,
    check_dimensions,
    check_embeddings,
    on_grid,
    pair_similarity,
)

_GENUINE_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """Embeddings (n, d) seen in ``order``, which makes each identity contiguous."""

    embeddings: Embeddings
    order: Int64
    identity: NDArray[Any]

    def rows(self, start: int, stop: int) -> Float32:
        """Rows on the grid, read from what may be a memory map."""
        return on_grid(self.embeddings[self.order[start:stop]])

    def pick(self, positions: Int64) -> Float32:
        """Rows on the grid at ``positions`` (k,)."""
        return on_grid(self.embeddings[self.order[positions]])

    def __len__(self) -> int:
        return len(self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """A block of gallery faces for one stripe of probes.

    ``rows`` (c, d) on the grid; row i of the stripe skips columns ``skip_from[i]`` to
    ``skip_to[i]``: they hold its own identity, or pairs that were seen already.
    """

    rows: Float32
    skip_from: Int64
    skip_to: Int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All probes with all gallery faces, or all pairs within one set.

    Per probe (n,): gallery columns from ``skip_from`` to ``skip_to`` are no impostor pairs, those
    from ``genuine_from`` to ``skip_to`` are the genuine ones.
    """

    probes: Faces
    gallery: Faces
    within: bool
    skip_from: Int64
    skip_to: Int64
    genuine_from: Int64

    @property
    def genuine(self) -> int:
        """Number of genuine pairs."""
        return int(np.sum(self.skip_to - self.genuine_from))

    @property
    def impostors(self) -> int:
        """Number of impostor pairs."""
        skipped = int(np.sum(self.skip_to - self.skip_from))
        return len(self.probes) * len(self.gallery) - skipped

    def products(self, start: int, stop: int) -> int:
        """How many products :meth:`columns` leads to, skipped pairs included."""
        return (stop - start) * (len(self.gallery) - (start if self.within else 0))

    def columns(self, start: int, stop: int, width: int) -> Iterator[Columns]:
        """Blocks of ``width`` gallery faces that probes ``start`` to ``stop`` are compared with."""
        for first in range(start if self.within else 0, len(self.gallery), width):
            last = min(first + width, len(self.gallery))
            yield Columns(
                rows=self.gallery.rows(first, last),
                skip_from=np.clip(self.skip_from[start:stop] - first, 0, last - first),
                skip_to=np.clip(self.skip_to[start:stop] - first, 0, last - first),
            )

    def genuine_similarities(self) -> Iterator[Float64]:
        """Exact similarities of all genuine pairs, a few thousand at a time."""
        ends = np.cumsum(self.skip_to - self.genuine_from)
        total = self.genuine
        for first in range(0, total, _GENUINE_AT_ONCE):
            pair = np.arange(first, min(first + _GENUINE_AT_ONCE, total), dtype=np.int64)
            probe = np.searchsorted(ends, pair, side="right")
            column = (self.skip_to[probe] - (ends[probe] - pair)).astype(np.int64)
            yield self.similarity(probe, column)

    def similarity(self, probe: Int64, column: Int64) -> Float64:
        """Exact similarity (k,) of probes and gallery columns, a few thousand of them."""
        own = np.arange(len(probe))
        return pair_similarity(self.probes.pick(probe), self.gallery.pick(column), own, own)


def compare_within(embeddings: Embeddings, identity: NDArray[Any], what: str) -> Comparison:
    """All pairs i < j of one set."""
    faces = _faces(embeddings, identity, what)
    return Comparison(
        probes=faces,
        gallery=faces,
        within=True,
        skip_from=np.zeros(len(faces), dtype=np.int64),
        skip_to=np.searchsorted(faces.identity, faces.identity, side="right"),
        genuine_from=np.arange(1, len(faces) + 1),
    )


def compare_with_gallery(
    probes: tuple[Embeddings, NDArray[Any]], gallery: tuple[Embeddings, NDArray[Any]], what: str
) -> Comparison:
    """Every probe with every gallery face, both as embeddings and identities."""
    check_dimensions(probes[0], gallery[0], what)
    left, right = _faces(*probes, f"{what}, probes"), _faces(*gallery, f"{what}, gallery")
    start = np.searchsorted(right.identity, left.identity, side="left")
    stop = np.searchsorted(right.identity, left.identity, side="right")
    return Comparison(
        probes=left, gallery=right, within=False, skip_from=start, skip_to=stop, genuine_from=start
    )


def _faces(embeddings: Embeddings, identity: NDArray[Any], what: str) -> Faces:
    check_embeddings(embeddings, identity, what)
    order = np.argsort(identity, kind="stable")
    return Faces(embeddings=embeddings, order=order, identity=identity[order])
