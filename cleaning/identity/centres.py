"""Class centres, and how near a face is to its own class and to every other.

A face is never compared with itself: its photo's own contribution to the centre is taken out
first. The search over other classes is exact (faiss ``IndexFlatIP``).
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

from cleaning.identity.faceset import FloatArray, IntArray

_SEARCH_ROWS = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreFaces:
    """The faces that make up the classes now: one per photo and class.

    ``embeddings`` float32 (m, d); ``identity`` int64 (m,); ``rows`` int64 (m,) in the face set.
    """

    embeddings: FloatArray
    identity: IntArray
    rows: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Centres:
    """Class centres: ``total`` float32 (k, d) summed faces, ``unit`` the same normalised,
    ``length`` float32 (k,) of the mean face, ``count`` int64 (k,) faces (0: no centre)."""

    total: FloatArray
    unit: FloatArray
    length: FloatArray
    count: IntArray

    def mean_between(self, first: IntArray, second: IntArray) -> FloatArray:
        """Mean similarity between the faces of two classes, float32 (n,); −1 if either is −1."""
        cosine = np.einsum("nd,nd->n", self.unit[first], self.unit[second])
        mean = cosine * self.length[first] * self.length[second]
        known = (first >= 0) & (second >= 0)
        return np.where(known, mean, -1.0).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSimilarity:
    """``similarity`` float32 (n,) to the centre, ``mean`` float32 (n,) over the centre's faces;
    −1 where the class has no other face to compare with."""

    similarity: FloatArray
    mean: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The nearest other classes of each row, nearest first; each array is (n, 2).

    ``identity`` int64, −1 when there is none; ``similarity`` to the centre and ``mean`` over the
    centre's faces, float32, −1 when there is none.
    """

    identity: IntArray
    similarity: FloatArray
    mean: FloatArray


def group_sums(embeddings: FloatArray, groups: IntArray, count: int) -> FloatArray:
    """Sum the rows of each group 0 … count − 1; float32 (count, d)."""
    sums = np.zeros((count, embeddings.shape[1]), dtype=np.float32)
    if len(groups):
        order = np.argsort(groups, kind="stable")
        present, first = np.unique(groups[order], return_index=True)
        sums[present] = np.add.reduceat(embeddings[order], first, axis=0)
    return sums


def centres_of(core: CoreFaces, classes: int) -> Centres:
    """The centres of ``classes`` classes from their core faces."""
    total = group_sums(core.embeddings, core.identity, classes)
    count = np.bincount(core.identity, minlength=classes).astype(np.int64)
    norm = np.linalg.norm(total, axis=1)
    return Centres(
        total=total,
        unit=total / np.maximum(norm, 1e-9)[:, None],
        length=(norm / np.maximum(count, 1)).astype(np.float32),
        count=count,
    )


def own_similarity(
    embeddings: FloatArray, identity: IntArray, excluded: FloatArray, centres: Centres
) -> OwnSimilarity:
    """Similarity of each row to its class without ``excluded``, its photo's core face.

    ``excluded`` float32 (n, d) holds zeros where the photo has no core face in the class.
    """
    total = centres.total[identity] - excluded
    count = centres.count[identity] - excluded.any(axis=1)
    dot = np.einsum("nd,nd->n", embeddings, total)
    norm = np.linalg.norm(total, axis=1)
    known = count > 0
    similarity = np.where(known, dot / np.maximum(norm, 1e-9), -1.0).astype(np.float32)
    mean = np.where(known, dot / np.maximum(count, 1), -1.0).astype(np.float32)
    return OwnSimilarity(similarity=similarity, mean=mean)


def leave_one_out(embeddings: FloatArray, core: CoreFaces, centres: Centres) -> OwnSimilarity:
    """Similarity of each core face to the rest of its class."""
    return own_similarity(embeddings, core.identity, core.embeddings, centres)


def nearest_others(
    embeddings: FloatArray, barred: npt.NDArray[np.int64], centres: Centres
) -> Neighbours:
    """The two nearest classes of each row (n, d) that are not among its ``barred`` (n, b)."""
    classes = np.flatnonzero(centres.count > 0)
    rows = len(embeddings)
    identity = np.full((rows, 2), -1, dtype=np.int64)
    similarity = np.full((rows, 2), -1.0, dtype=np.float32)
    if len(classes):
        index = faiss.IndexFlatIP(embeddings.shape[1])
        index.add(centres.unit[classes])
        wanted = min(2 + barred.shape[1], len(classes))
        for start in range(0, rows, _SEARCH_ROWS):
            part = slice(start, start + _SEARCH_ROWS)
            scores, found = index.search(np.ascontiguousarray(embeddings[part]), wanted)
            identity[part], similarity[part] = _first_two(classes[found], scores, barred[part])
    mean = np.where(identity >= 0, similarity * centres.length[identity], -1.0)
    return Neighbours(identity=identity, similarity=similarity, mean=mean.astype(np.float32))


def _first_two(
    found: IntArray, scores: FloatArray, barred: IntArray
) -> tuple[IntArray, FloatArray]:
    allowed = ~(found[:, :, None] == barred[:, None, :]).any(axis=2)
    order = np.argsort(~allowed, axis=1, kind="stable")[:, :2]
    kept = np.take_along_axis(allowed, order, axis=1)
    identity = np.full((len(found), 2), -1, dtype=np.int64)
    similarity = np.full((len(found), 2), -1.0, dtype=np.float32)
    width = order.shape[1]
    identity[:, :width] = np.where(kept, np.take_along_axis(found, order, axis=1), -1)
    similarity[:, :width] = np.where(kept, np.take_along_axis(scores, order, axis=1), -1.0)
    return identity, similarity
