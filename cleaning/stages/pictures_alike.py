"""Photos that are one picture: proposed by perceptual hash and by embedding, confirmed by pixels.

A photo and its aligned crop in another set have no perceptual hash in common, but their faces
embed alike.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cleaning.faces.align import decode_crops
from cleaning.faces.duplicates import (
    PROPOSE_WITHIN,
    Pairs,
    confirm_pairs,
    find_close_pairs,
    hashes_from_hex,
)
from cleaning.identity.join import close_pairs
from cleaning.stages.measured import Measured

PROPOSE_ABOVE = 0.7
"""Similarity of the main faces from which two photos of different sets are compared. Pixels decide;
this only saves comparisons. Of copies at 0.7 of the size, or aligned and detected again, 19 in 20
measure above 0.82, and different photos of one person half of the time below 0.65."""
_CONFIRMED_AT_ONCE = 2_048

CropsOf = Callable[[Collection[str]], Mapping[str, bytes]]
"""Gives the PNG crops of faces by id."""
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Photos with a usable face: ``image_ids``, ``hashes`` uint64 (n,), and of the most prominent
    face of each its id and ``embeddings``, float16 (n, d) unit rows."""

    image_ids: list[str]
    hashes: NDArray[np.uint64]
    face_ids: list[str]
    embeddings: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.image_ids)

    @classmethod
    def of(cls, measured: Measured) -> Self:
        """The pictures among all measured photos."""
        hashed = [p for p in measured.photos.values() if p.perceptual_hash and not p.problem]
        faces_of, face_ids = measured.rows_of_images(), measured.face_ids()
        prominence = measured.column("prominence")
        main = [max(faces_of[photo.image_id], key=prominence.__getitem__) for photo in hashed]
        return cls(
            image_ids=[photo.image_id for photo in hashed],
            hashes=hashes_from_hex([photo.perceptual_hash or "" for photo in hashed]),
            face_ids=[face_ids[row] for row in main],
            embeddings=measured.embeddings[main],
        )

    def of_images(self, wanted: Container[str]) -> Pictures:
        """Those of some images."""
        kept = [row for row, image_id in enumerate(self.image_ids) if image_id in wanted]
        return Pictures(
            image_ids=[self.image_ids[row] for row in kept],
            hashes=self.hashes[kept],
            face_ids=[self.face_ids[row] for row in kept],
            embeddings=self.embeddings[kept],
        )

    def joined(self, other: Pictures) -> Pictures:
        """These, and then the others."""
        if not len(self) or not len(other):
            return self if len(self) else other
        return Pictures(
            image_ids=self.image_ids + other.image_ids,
            hashes=np.concatenate([self.hashes, other.hashes]),
            face_ids=self.face_ids + other.face_ids,
            embeddings=np.concatenate([self.embeddings, other.embeddings]),
        )


def propose_by_hash(pictures: Pictures) -> Pairs:
    """Pairs of photos with close perceptual hashes, int64 (m, 2)."""
    return find_close_pairs(pictures.hashes, PROPOSE_WITHIN)


def propose_by_face(pictures: Pictures, group: Int64, threads: int) -> Pairs:
    """The nearest face of each other group for every face, as pairs int64 (m, 2), first < second.

    ``group`` int64 (n,) says which photos belong together, such as the set each came from.
    """
    if len(np.unique(group)) < 2:
        return np.zeros((0, 2), np.int64)
    close = close_pairs(pictures.embeddings, group, PROPOSE_ABOVE, threads=threads)
    order = np.argsort(-close.similarity, kind="stable")
    a, b = close.face_a[order], close.face_b[order]
    nearest = np.concatenate([_first_of(a, group[b]), _first_of(b, group[a])])
    return np.unique(np.stack([a[nearest], b[nearest]], axis=1), axis=0)


def confirm(pictures: Pictures, pairs: Pairs, crops_of: CropsOf) -> Pairs:
    """The pairs that are one picture, int64 (k, 2) in their order."""
    parts = [
        _confirmed(pictures, pairs[start : start + _CONFIRMED_AT_ONCE], crops_of)
        for start in range(0, len(pairs), _CONFIRMED_AT_ONCE)
    ]
    return np.concatenate([pairs[:0], *parts])


def _confirmed(pictures: Pictures, pairs: Pairs, crops_of: CropsOf) -> Pairs:
    photos = np.unique(pairs).tolist()
    crops = crops_of([pictures.face_ids[photo] for photo in photos])
    decoded = {photo: decode_crops([crops[pictures.face_ids[photo]]])[0] for photo in photos}
    return confirm_pairs(pairs, decoded.__getitem__)


def _first_of(face: Int64, group: Int64) -> Int64:
    """Positions at which each face first meets each group."""
    _, first = np.unique(np.stack([face, group], axis=1), axis=0, return_index=True)
    return np.asarray(first, np.int64)
