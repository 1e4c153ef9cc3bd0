"""The faces that the identity algorithms work on: arrays, one row per face and claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from facedata.errors import IntegrityError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_UNIT_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The distinct (photo, claimed identity) pairs of a face set, ordered by photo, identity.

    ``photo`` and ``identity`` int64 (c,); ``of_row`` int64 (n,) the claim of each face row;
    ``shared`` bool (c,) marks claims whose photo is also claimed by another identity.
    """

    photo: IntArray
    identity: IntArray
    of_row: IntArray
    shared: BoolArray

    def __len__(self) -> int:
        return len(self.photo)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceSet:
    """Every detected face of every photo, with the identity its photo was filed under.

    ``embeddings`` float32 (n, d), unit rows. ``photo`` int64 (n,) names the photo, ``identity``
    int64 (n,) the claimed class, both non-negative. ``prominence`` float32 (n,) in [0, 1] grows
    with the face's share of the photo and its closeness to the middle; it only breaks ties.
    A photo filed under two identities has its faces listed once per identity. ``source`` int64
    (n,) names the set in which the photo was filed so; None when all come from one.

    Raises:
        IntegrityError: when shapes or types disagree, or a row is not a finite unit vector.
    """

    embeddings: FloatArray
    photo: IntArray
    identity: IntArray
    prominence: FloatArray
    source: IntArray | None = None

    def __post_init__(self) -> None:
        _check_array("embeddings", self.embeddings, np.float32, ndim=2)
        rows = len(self.embeddings)
        for name, dtype in (("photo", np.int64), ("identity", np.int64)):
            _check_array(name, getattr(self, name), dtype, rows=rows)
        _check_array("prominence", self.prominence, np.float32, rows=rows)
        if self.source is not None:
            _check_array("source", self.source, np.int64, rows=rows)
        _check_values(self)

    def __len__(self) -> int:
        return len(self.photo)

    def source_of_row(self) -> IntArray:
        """The set of each row, int64 (n,); zeros when all come from one."""
        return np.zeros(len(self), np.int64) if self.source is None else self.source

    def claims(self) -> Claims:
        """The distinct (photo, claimed identity) pairs, and which pair each row belongs to."""
        pairs = np.stack([self.photo, self.identity], axis=1)
        unique, of_row = np.unique(pairs, axis=0, return_inverse=True)
        photo = np.ascontiguousarray(unique[:, 0]).astype(np.int64)
        identity = np.ascontiguousarray(unique[:, 1]).astype(np.int64)
        _, inverse, counts = np.unique(photo, return_inverse=True, return_counts=True)
        return Claims(
            photo=photo,
            identity=identity,
            of_row=of_row.reshape(-1).astype(np.int64),
            shared=counts[inverse] > 1,
        )


def _check_array(
    name: str, array: npt.NDArray[Any], dtype: type, *, ndim: int = 1, rows: int | None = None
) -> None:
    if array.dtype != dtype or array.ndim != ndim or (rows is not None and len(array) != rows):
        wanted = f"{np.dtype(dtype)} with {ndim} axis" + (f", {rows} rows" if rows else "")
        raise IntegrityError(
            f"face set: {name} is {array.dtype} of shape {array.shape}, expected {wanted}; "
            "rebuild the embeddings"
        )


def _check_values(faces: FaceSet) -> None:
    if len(faces) == 0:
        return
    norms = np.linalg.norm(faces.embeddings, axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1.0) <= _UNIT_TOLERANCE))
    if len(bad):
        raise IntegrityError(
            f"face set: embedding of row {bad[0]} has length {norms[bad[0]]:.4g}, expected 1; "
            "normalise the embeddings"
        )
    if min(index.min() for index in (faces.photo, faces.identity, faces.source_of_row())) < 0:
        raise IntegrityError(
            "face set: a photo, identity or source index is negative; indices start at 0"
        )
    if not ((faces.prominence >= 0) & (faces.prominence <= 1)).all():
        raise IntegrityError("face set: a prominence is outside [0, 1]; measure the faces again")
