"""Similarities without rounding, so that counts do not depend on blocks, threads or machines.

The similarity of two faces is the dot product of their rows, each component rounded to a multiple
of 2⁻²⁶: float16 rows are unchanged by that, float32 rows move by less than their own precision.
Products are then multiples of 2⁻⁵² and partial sums of unit rows stay below 2, so that a float64
sum is never rounded, in whatever order it is taken. It is the definition of the exact join between
identities (docs/decisions/exact-join.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facedata.errors import RequestError

Embeddings = NDArray[np.floating[Any]]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

STEP = 2.0**-52
"""Similarities are multiples of this."""

_GRID = np.float32(2.0**26)
_LENGTH_TOLERANCE = 2e-3  # float16 rows are this far from unit length at most
_CHECK_ROWS = 8192
_PAIRS_AT_ONCE = 2048


def on_grid(rows: Embeddings) -> Float32:
    """Rows (n, d) with components at multiples of 2⁻²⁶, which float32 holds exactly."""
    rounded: Float32 = np.rint(rows.astype(np.float32) * _GRID) / _GRID
    return rounded


def pair_similarity(left: Float32, right: Float32, first: Int64, second: Int64) -> Float64:
    """Exact similarity (k,) of ``left[first]`` and ``right[second]``, rows on the grid."""
    similarity = np.empty(len(first), dtype=np.float64)
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        some = slice(start, start + _PAIRS_AT_ONCE)
        similarity[some] = np.einsum(
            "ij,ij->i", left[first[some]].astype(np.float64), right[second[some]]
        )
    return similarity


def product_error(dimension: int) -> float:
    """How far a float32 product of two rows can lie from their similarity.

    A float32 sum of d products errs by at most d · 2⁻²⁴ · Σ|aᵢbᵢ| to first order, in any order
    (Higham, Accuracy and Stability of Numerical Algorithms, 3.1); twice that covers the rest.
    """
    return 2 * dimension * 2.0**-24


def check_embeddings(embeddings: Embeddings, identity: NDArray[Any], what: str) -> None:
    """Refuse anything but (n, d) float16 or float32 unit rows with one identity (n,) each."""
    if embeddings.ndim != 2 or identity.shape != embeddings.shape[:1] or not len(embeddings):
        raise RequestError(
            f"{what}: embeddings {embeddings.shape} and identities {identity.shape} do not fit; "
            "give (n, d) and (n,), with at least one face"
        )
    if embeddings.dtype not in (np.float16, np.float32):
        raise RequestError(f"{what}: embeddings are {embeddings.dtype}; give float16 or float32")
    for start in range(0, len(embeddings), _CHECK_ROWS):
        rows = embeddings[start : start + _CHECK_ROWS].astype(np.float64)
        length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        bad = np.flatnonzero(~(np.abs(length - 1) <= _LENGTH_TOLERANCE))
        if bad.size:
            raise RequestError(
                f"{what}: the embedding in row {start + bad[0]} has length {length[bad[0]]:.4g}; "
                "give unit rows"
            )


def check_dimensions(first: Embeddings, second: Embeddings, what: str) -> None:
    """Refuse embeddings of two models."""
    if first.shape[1] != second.shape[1]:
        raise RequestError(
            f"{what}: embeddings have {first.shape[1]} and {second.shape[1]} dimensions; "
            "embed both with one model"
        )
