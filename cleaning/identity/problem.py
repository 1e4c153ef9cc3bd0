"""A face set made ready for cleaning: classes numbered without gaps, photos' claims listed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cleaning.identity.centres import CoreFaces
from cleaning.identity.faceset import BoolArray, Claims, FaceSet, FloatArray, IntArray

_LEADING_SHARE = 0.8
"""A face leads its photo from this share of the greatest prominence in the photo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A face set with its classes numbered 0 … C − 1.

    ``identities`` int64 (C,) the original index of each class; ``row_class`` (n,) and
    ``claim_class`` (c,) its number; ``class_photos`` (C,); ``barred`` (c, b) the classes that
    claim the same photo, the claim's own included. ``leading`` bool (n,): faces about as
    prominent as the most prominent one of their photo; the others are bystanders.
    ``class_sources`` bool (C, s): the sets that have photos of the class.
    """

    faces: FaceSet
    claims: Claims
    identities: IntArray
    row_class: IntArray
    claim_class: IntArray
    class_photos: IntArray
    barred: IntArray
    leading: BoolArray
    class_sources: BoolArray


def number_classes(faces: FaceSet) -> Problem:
    """Number the claimed classes of a face set without gaps."""
    claims = faces.claims()
    identities, inverse = np.unique(claims.identity, return_inverse=True)
    claim_class = inverse.reshape(-1).astype(np.int64)
    return Problem(
        faces=faces,
        claims=claims,
        identities=identities.astype(np.int64),
        row_class=claim_class[claims.of_row],
        claim_class=claim_class,
        class_photos=np.bincount(claim_class, minlength=len(identities)).astype(np.int64),
        barred=_barred_classes(claims, claim_class),
        leading=_leading_faces(faces, claims),
        class_sources=_class_sources(faces, claim_class[claims.of_row], len(identities)),
    )


def core_faces(problem: Problem, chosen: IntArray) -> CoreFaces:
    """The chosen face rows (c,) of the claims (−1 for none) as the classes' core."""
    rows = chosen[chosen >= 0]
    return CoreFaces(
        embeddings=problem.faces.embeddings[rows], identity=problem.row_class[rows], rows=rows
    )


def best_rows(problem: Problem, score: FloatArray, allowed: IntArray) -> IntArray:
    """The row of each claim with the greatest score (m,) among the ``allowed`` rows (m,).

    Prominence decides between equal scores. Returns int64 (c,), −1 for claims without a row.
    """
    claim = problem.claims.of_row[allowed]
    order = np.lexsort((-problem.faces.prominence[allowed], -score, claim))
    found, first = np.unique(claim[order], return_index=True)
    best = np.full(len(problem.claims), -1, dtype=np.int64)
    best[found] = allowed[order[first]]
    return best


def _leading_faces(faces: FaceSet, claims: Claims) -> BoolArray:
    most = np.zeros(len(claims), dtype=np.float32)
    np.maximum.at(most, claims.of_row, faces.prominence)
    leading: BoolArray = faces.prominence >= _LEADING_SHARE * most[claims.of_row]
    return leading


def _class_sources(faces: FaceSet, row_class: IntArray, classes: int) -> BoolArray:
    source = faces.source_of_row()
    found = np.zeros((classes, int(source.max(initial=0)) + 1), dtype=bool)
    found[row_class, source] = True
    return found


def _barred_classes(claims: Claims, claim_class: IntArray) -> IntArray:
    # A photo's own claims are no evidence that it belongs elsewhere.
    if not len(claims):
        return np.zeros((0, 1), dtype=np.int64)
    _, first, counts = np.unique(claims.photo, return_index=True, return_counts=True)
    barred = np.repeat(claim_class[:, None], int(counts.max()), axis=1)
    for start, count in zip(first[counts > 1], counts[counts > 1], strict=True):
        barred[start : start + count, :count] = claim_class[start : start + count]
    return barred
