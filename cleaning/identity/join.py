"""The exact minimum distance between classes, over all pairs of their faces.

Nothing is approximate: every pair of faces is bounded by an int8 product (``screen``), and each
pair whose bound reaches the threshold is computed exactly. One half of the symmetric matrix is
visited, in tiles, so memory stays flat.

The similarity of two faces is the dot product of their rows, each component rounded to a multiple
of 2⁻²⁶ (float16 rows are unchanged by that, float32 rows move by less than their own precision).
A product is then a multiple of 2⁻⁵² and every partial sum stays below 2, so float64 holds all of
them without rounding: the result has the same bits for any block size, thread count, summation
order and machine. docs/decisions/exact-join.md tells what was measured and why it is this way.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleaning.identity.join_pairs import (
    CrossClassPairs,
    FacePairs,
    Float64,
    Int64,
    joined_classes,
    joined_faces,
    nearest_first,
    summary_of,
)
from cleaning.identity.screen import MAX_NORM, Float32, Screen, int8_screen
from facedata.errors import RequestError, WorkError

Embeddings = NDArray[np.floating[Any]]

BLOCK = 512
# A stripe is this many blocks of rows: preparing a block of columns is paid once per stripe.
_STRIPE_BLOCKS = 8
_GRID = np.float32(2.0**26)
_UNIT_CHECK_ROWS = 8192
_PAIR_CHECK_ROWS = 2048
# Past this share of a tile, one float64 product is quicker than going pair by pair.
_DENSE_SHARE = 1 / 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What every tile needs; rows are visited in ``order``, which makes a class contiguous."""

    embeddings: Embeddings
    order: Int64
    sorted_identity: Int64
    threshold: float
    screen: Screen
    block: int

    @property
    def stripe_starts(self) -> range:
        return range(0, len(self.order), self.block * _STRIPE_BLOCKS)

    def rows(self, start: int, stop: int) -> Float32:
        return on_grid(self.embeddings[self.order[start:stop]])


def minimum_cross_class(
    embeddings: Embeddings,
    identity: Int64,
    threshold: float,
    *,
    threads: int = 1,
    block: int = BLOCK,
    screen: Screen | None = None,
) -> CrossClassPairs:
    """The nearest two faces of every pair of identities that come within ``threshold``.

    ``embeddings`` are (n, d) float32 or float16 unit rows (a memory map is read block by block),
    ``identity`` is (n,) integers, ``threshold`` a similarity in [-1, 1]; pairs at the threshold
    count. ``screen`` replaces the processor's int8 product. The answer is nearest first and
    complete; memory is a few tiles per thread plus the answer, however many faces are close.

    Raises ``RequestError`` for shapes or values that do not fit, ``WorkError`` for a row that is
    not a unit vector.
    """
    job = _job(embeddings, identity, threshold, block=block, screen=screen)

    def stripe(start: int) -> CrossClassPairs:
        return joined_classes(summary_of(tile, identity) for tile in _tiles(job, start))

    with ThreadPoolExecutor(threads) as pool:
        return nearest_first(joined_classes(pool.map(stripe, job.stripe_starts)))


def close_pairs(
    embeddings: Embeddings,
    identity: Int64,
    threshold: float,
    *,
    threads: int = 1,
    block: int = BLOCK,
    screen: Screen | None = None,
) -> FacePairs:
    """All pairs of faces of different identities that come within ``threshold``.

    Arguments and errors are those of ``minimum_cross_class``. ``face_a`` < ``face_b``, by
    ``face_a`` then ``face_b``; the answer grows with the number of close pairs.
    """
    job = _job(embeddings, identity, threshold, block=block, screen=screen)

    def stripe(start: int) -> FacePairs:
        return joined_faces(_tiles(job, start))

    with ThreadPoolExecutor(threads) as pool:
        return joined_faces(pool.map(stripe, job.stripe_starts))


def _job(
    embeddings: Embeddings, identity: Int64, threshold: float, *, block: int, screen: Screen | None
) -> _Job:
    check_faces(embeddings, identity, threshold)
    order = np.argsort(identity, kind="stable")
    return _Job(
        embeddings=embeddings,
        order=order,
        sorted_identity=identity[order],
        threshold=threshold,
        screen=int8_screen(embeddings.shape[1]) if screen is None else screen,
        block=block,
    )


def check_faces(embeddings: Embeddings, identity: Int64, threshold: float) -> None:
    """Refuse what cannot be joined, with the errors of ``minimum_cross_class``."""
    if embeddings.ndim != 2 or identity.shape != embeddings.shape[:1]:
        raise RequestError(
            f"exact join: embeddings {embeddings.shape} and identity {identity.shape} do not fit: "
            "give (n, d) and (n,)"
        )
    if embeddings.dtype not in (np.float16, np.float32):
        raise RequestError(
            f"exact join: embeddings are {embeddings.dtype}: give float16 or float32"
        )
    if not -1 <= threshold <= 1:
        raise RequestError(f"exact join: threshold is {threshold}: give a similarity in [-1, 1]")
    _check_unit(embeddings)


def on_grid(embeddings: Embeddings) -> Float32:
    """Rows (n, d) with every component rounded to a multiple of 2⁻²⁶, as similarity is defined."""
    rounded: Float32 = np.rint(embeddings.astype(np.float32) * _GRID) / _GRID
    return rounded


def _check_unit(embeddings: Embeddings) -> None:
    for start in range(0, len(embeddings), _UNIT_CHECK_ROWS):
        rows = embeddings[start : start + _UNIT_CHECK_ROWS].astype(np.float32)
        norm = np.linalg.norm(rows, axis=1)
        wrong = np.flatnonzero(~(np.abs(norm - 1) < MAX_NORM - 1))
        if len(wrong):
            raise WorkError(
                f"exact join: embedding row {start + wrong[0]} has norm {norm[wrong[0]]}, not 1: "
                "embed that face again"
            )


def _tiles(job: _Job, start: int) -> Iterator[FacePairs]:
    """The close pairs of one stripe of rows with itself and all later rows, tile by tile.

    ``face_a`` is the one of the smaller identity.
    """
    rows = job.rows(start, start + job.block * _STRIPE_BLOCKS)
    hits = job.screen(rows, job.threshold)
    n = len(job.order)
    for column_start in range(start, n, job.block):
        stop = min(column_start + job.block, n)
        if job.sorted_identity[start] == job.sorted_identity[stop - 1]:
            continue
        columns = job.rows(column_start, stop)
        left, right = np.divmod(hits(columns, min(len(rows), stop - start)), len(columns))
        # Sorted by identity, the smaller identity is the earlier row: this takes each pair of
        # different identities once.
        cross = job.sorted_identity[start + left] < job.sorted_identity[column_start + right]
        left, right = left[cross], right[cross]
        similarity = exact_similarities(rows, columns, left, right)
        close = similarity >= job.threshold
        yield FacePairs(
            face_a=job.order[start + left[close]],
            face_b=job.order[column_start + right[close]],
            similarity=similarity[close],
        )


def exact_similarities(rows: Float32, columns: Float32, left: Int64, right: Int64) -> Float64:
    """The exact similarity of pairs of rows that are on the grid.

    Both ways give the same bits (see the module's head).
    """
    if len(left) > len(rows) * len(columns) * _DENSE_SHARE:
        product: Float64 = rows.astype(np.float64) @ columns.astype(np.float64).T
        return product[left, right]
    similarity = np.empty(len(left), np.float64)
    for start in range(0, len(left), _PAIR_CHECK_ROWS):
        part = slice(start, start + _PAIR_CHECK_ROWS)
        first, second = rows[left[part]], columns[right[part]]
        similarity[part] = np.einsum("ij,ij->i", first, second, dtype=np.float64)
    return similarity
