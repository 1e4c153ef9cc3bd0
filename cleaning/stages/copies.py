"""Photos that are copies of one another, among all the images that came in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cleaning.faces.align import decode_crops
from cleaning.faces.duplicates import (
    PROPOSE_WITHIN,
    confirm_pairs,
    find_close_pairs,
    hashes_from_hex,
)
from cleaning.stages.crops import CropReader
from cleaning.stages.measured import Measured
from facedata.records import ImageRecord


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


def find_copies(images: Sequence[ImageRecord], measured: Measured, crops: CropReader) -> Copies:
    """Find copies within identities, and count those across them.

    Near copies have close perceptual hashes and faces that are the same picture; distinct photos
    of one burst are not copies.
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
    for original, copy in _near_pairs(measured, crops):
        shared = claims[original] & claims[copy]
        near.update(max(first[name, original], first[name, copy]) for name in shared)
        if claims[original] != claims[copy]:
            across.add(copy)
    return Copies(exact=frozenset(exact), near=frozenset(near), across=len(across))


def _near_pairs(measured: Measured, crops: CropReader) -> list[tuple[str, str]]:
    """Image ids of photos that are the same picture."""
    hashed = [p for p in measured.photos.values() if p.perceptual_hash and not p.problem]
    hashes = hashes_from_hex([p.perceptual_hash or "" for p in hashed])
    proposed = find_close_pairs(hashes, PROPOSE_WITHIN)
    faces_of, face_ids = measured.rows_of_images(), measured.face_ids()
    prominence = measured.column("prominence")
    main_face = {
        photo: face_ids[max(faces_of[hashed[photo].image_id], key=prominence.__getitem__)]
        for photo in np.unique(proposed).tolist()
    }
    by_photo = {
        photo: decode_crops([crops(face_id)])[0]
        for photo, face_id in sorted(main_face.items(), key=lambda item: item[1])
    }
    return [
        (hashed[a].image_id, hashed[b].image_id)
        for a, b in confirm_pairs(proposed, by_photo.__getitem__)
    ]
