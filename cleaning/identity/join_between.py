"""The exact minimum distance between the classes of two sets of faces, set against set.

As exact as ``join``, whose screen and similarity it uses, but only pairs across the two sets are
looked at: a small set costs little against a large one.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from cleaning.identity.join import BLOCK, Embeddings, check_faces, exact_similarities, on_grid
from cleaning.identity.join_pairs import CrossClassPairs, Int64, joined_classes, nearest_first
from cleaning.identity.screen import int8_screen

_STRIPE = 8 * BLOCK
_SAMPLE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFaces:
    """``embeddings`` (n, d) float16 or float32 unit rows, ``identity`` int64 (n,)."""

    embeddings: Embeddings
    identity: Int64

    def __len__(self) -> int:
        return len(self.identity)

    def some(self, rows: Int64) -> LabelledFaces:
        """The faces of these rows."""
        return LabelledFaces(embeddings=self.embeddings[rows], identity=self.identity[rows])


def nearest_between(
    ours: LabelledFaces, theirs: LabelledFaces, threshold: float, *, threads: int = 1
) -> CrossClassPairs:
    """The nearest two faces of every identity of one set and every identity of the other.

    Only pairs within ``threshold``, a similarity in [-1, 1]. ``identity_a`` and ``face_a`` are of
    ``ours``, ``identity_b`` and ``face_b`` of ``theirs``, rows of either; nearest first. Raises as
    ``join.minimum_cross_class`` does.
    """
    for faces in (ours, theirs):
        check_faces(faces.embeddings, faces.identity, threshold)
    if not len(ours) or not len(theirs):
        return joined_classes([])

    def stripe(start: int) -> CrossClassPairs:
        return joined_classes(_tiles(ours, theirs, start, threshold))

    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(stripe, range(0, len(theirs), _STRIPE))
        return nearest_first(joined_classes(parts))


def nearest_pair(
    ours: LabelledFaces, theirs: LabelledFaces, *, threads: int = 1
) -> CrossClassPairs:
    """The nearest two faces of the two sets, wherever they are: one row, none of an empty set.

    The nearest of a sample is a bound below which nothing needs to be computed.
    """
    some, others = (faces.some(_spread(len(faces))) for faces in (ours, theirs))
    sampled = nearest_between(some, others, -1.0)
    if not len(sampled):
        return sampled
    # The similarity of a float16 row to itself may be a little above 1.
    bound = min(float(sampled.max_similarity[0]), 1.0)
    return _first(nearest_between(ours, theirs, bound, threads=threads))


def _tiles(
    ours: LabelledFaces, theirs: LabelledFaces, start: int, threshold: float
) -> Iterator[CrossClassPairs]:
    stripe = slice(start, start + _STRIPE)
    rows = on_grid(theirs.embeddings[stripe])
    hits = int8_screen(rows.shape[1])(rows, threshold)
    for first in range(0, len(ours), BLOCK):
        columns = on_grid(ours.embeddings[first : first + BLOCK])
        left, right = np.divmod(hits(columns, len(rows)), len(columns))
        similarity = exact_similarities(rows, columns, left, right)
        close = similarity >= threshold
        face_a, face_b = first + right[close], start + left[close]
        tile = CrossClassPairs(
            identity_a=ours.identity[face_a],
            identity_b=theirs.identity[face_b],
            max_similarity=similarity[close],
            face_a=face_a,
            face_b=face_b,
            close_pairs=np.ones(len(face_a), np.int64),
        )
        yield joined_classes([tile])


def _spread(count: int) -> Int64:
    """Rows spread evenly over all."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, _SAMPLE)).astype(np.int64))


def _first(pairs: CrossClassPairs) -> CrossClassPairs:
    return CrossClassPairs(
        **{name: getattr(pairs, name)[:1] for name in CrossClassPairs.__dataclass_fields__}
    )
