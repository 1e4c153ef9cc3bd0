"""Photos that are copies of one another, among all the images that came in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cleaning.faces.duplicates import find_close_pairs, hashes_from_hex
from cleaning.stages.measured import Measured
from facedata.records import ImageRecord

_HASH_DISTANCE = 2
_SAME_CROP = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Rows of the images table. A copy's original is an earlier row of the same identity.

    ``exact`` have the original's bytes, ``near`` are re-encoded or resized. ``across`` counts
    photos that stand under several identities, by bytes or nearly.
    """

    exact: frozenset[int]
    near: frozenset[int]
    across: int

    def counts(self) -> dict[str, int]:
        """How many of each kind, for the report."""
        return {"exact": len(self.exact), "near": len(self.near), "across": self.across}


def find_copies(images: Sequence[ImageRecord], measured: Measured) -> Copies:
    """Find copies within identities, and count those across them.

    A near copy has a perceptual hash within 2 bits and a face that the embedder takes for the
    same crop; distinct photos of one burst are not copies.
    """
    first: dict[tuple[str, str], int] = {}
    claims: dict[str, set[str]] = {}
    exact = set()
    for row, image in enumerate(images):
        if first.setdefault((image.claimed_identity, image.image_id), row) != row:
            exact.add(row)
        claims.setdefault(image.image_id, set()).add(image.claimed_identity)
    near: set[int] = set()
    across = {image_id for image_id, names in claims.items() if len(names) > 1}
    for original, copy in _near_pairs(measured):
        shared = claims.get(original, set()) & claims.get(copy, set())
        near.update(max(first[name, original], first[name, copy]) for name in shared)
        if claims.get(original, set()) != claims.get(copy, set()):
            across.add(copy)
    return Copies(exact=frozenset(exact), near=frozenset(near), across=len(across))


def _near_pairs(measured: Measured) -> list[tuple[str, str]]:
    hashed = [p for p in measured.photos.values() if p.perceptual_hash and not p.problem]
    hashes = hashes_from_hex([p.perceptual_hash or "" for p in hashed])
    faces_of = measured.rows_of_images()
    ids = [photo.image_id for photo in hashed]
    return [
        (ids[a], ids[b])
        for a, b in find_close_pairs(hashes, _HASH_DISTANCE)
        if _same_crop(measured.embeddings, faces_of[ids[a]], faces_of[ids[b]])
    ]


def _same_crop(embeddings: NDArray[np.float16], rows_a: list[int], rows_b: list[int]) -> bool:
    left = embeddings[rows_a].astype(np.float32)
    right = embeddings[rows_b].astype(np.float32)
    return bool((left @ right.T).max() >= _SAME_CROP)
