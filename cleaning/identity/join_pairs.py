"""What the exact join answers: close pairs of faces, and their summary per pair of identities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FacePairs:
    """Pairs of faces, as row numbers ``face_a`` and ``face_b`` (int64), and their ``similarity``
    (cosine, float64)."""

    face_a: Int64
    face_b: Int64
    similarity: Float64

    def __len__(self) -> int:
        return len(self.similarity)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossClassPairs:
    """Pairs of identities, ``identity_a`` < ``identity_b``.

    ``max_similarity`` (cosine, float64) is that of their nearest two faces, which are the rows
    ``face_a`` and ``face_b`` (on a tie the first such rows); ``close_pairs`` counts all their pairs
    of faces at or above the threshold. The other columns are int64.
    """

    identity_a: Int64
    identity_b: Int64
    max_similarity: Float64
    face_a: Int64
    face_b: Int64
    close_pairs: Int64

    def __len__(self) -> int:
        return len(self.max_similarity)


def joined_faces(parts: Iterable[FacePairs]) -> FacePairs:
    """All parts in one, with ``face_a`` < ``face_b``, by ``face_a`` then ``face_b``."""
    kept = [_NO_FACES, *parts]
    a = np.concatenate([part.face_a for part in kept])
    b = np.concatenate([part.face_b for part in kept])
    similarity = np.concatenate([part.similarity for part in kept])
    first, second = np.minimum(a, b), np.maximum(a, b)
    order = np.lexsort((second, first))
    return FacePairs(face_a=first[order], face_b=second[order], similarity=similarity[order])


def summary_of(pairs: FacePairs, identity: Int64) -> CrossClassPairs:
    """The pairs of identities behind ``pairs``; ``face_a`` is the one of the smaller identity.

    ``identity`` is (n,), the identity of every row.
    """
    return _nearest(
        CrossClassPairs(
            identity_a=identity[pairs.face_a],
            identity_b=identity[pairs.face_b],
            max_similarity=pairs.similarity,
            face_a=pairs.face_a,
            face_b=pairs.face_b,
            close_pairs=np.ones(len(pairs), np.int64),
        )
    )


def joined_classes(parts: Iterable[CrossClassPairs]) -> CrossClassPairs:
    """One row per pair of identities over all parts: the nearest faces, the sum of the counts."""
    kept = [_NO_CLASSES, *parts]
    return _nearest(
        CrossClassPairs(
            identity_a=np.concatenate([part.identity_a for part in kept]),
            identity_b=np.concatenate([part.identity_b for part in kept]),
            max_similarity=np.concatenate([part.max_similarity for part in kept]),
            face_a=np.concatenate([part.face_a for part in kept]),
            face_b=np.concatenate([part.face_b for part in kept]),
            close_pairs=np.concatenate([part.close_pairs for part in kept]),
        )
    )


def nearest_first(pairs: CrossClassPairs) -> CrossClassPairs:
    """The same rows, highest similarity first (ties by ``identity_a``, then ``identity_b``)."""
    order = np.lexsort((pairs.identity_b, pairs.identity_a, -pairs.max_similarity))
    return _rows(pairs, order, pairs.close_pairs[order])


def _nearest(pairs: CrossClassPairs) -> CrossClassPairs:
    if len(pairs) == 0:
        return pairs
    a, b = pairs.identity_a, pairs.identity_b
    order = np.lexsort((pairs.face_b, pairs.face_a, -pairs.max_similarity, b, a))
    changes = (np.diff(a[order]) != 0) | (np.diff(b[order]) != 0)
    first = np.flatnonzero(np.concatenate([[True], changes]))
    return _rows(pairs, order[first], np.add.reduceat(pairs.close_pairs[order], first))


def _rows(pairs: CrossClassPairs, index: Int64, close_pairs: Int64) -> CrossClassPairs:
    return CrossClassPairs(
        identity_a=pairs.identity_a[index],
        identity_b=pairs.identity_b[index],
        max_similarity=pairs.max_similarity[index],
        face_a=pairs.face_a[index],
        face_b=pairs.face_b[index],
        close_pairs=close_pairs,
    )


_NONE = np.empty(0, np.int64)
_NO_FACES = FacePairs(face_a=_NONE, face_b=_NONE, similarity=np.empty(0, np.float64))
_NO_CLASSES = CrossClassPairs(
    identity_a=_NONE,
    identity_b=_NONE,
    max_similarity=np.empty(0, np.float64),
    face_a=_NONE,
    face_b=_NONE,
    close_pairs=_NONE,
)
