"""Photos that are copies of one another, among all the images that came in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from cleaning.faces.config import usable_cores
from cleaning.stages.crops import CropReader
from cleaning.stages.measured import Measured
from cleaning.stages.pictures_alike import Pictures, confirm, propose_by_face, propose_by_hash
from facedata.records import ImageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPair:
    """Two images of different bytes that are one picture, and the faces in which they agree."""

    image_a: str
    image_b: str
    face_a: str
    face_b: str

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("image_a", pa.string(), nullable=False),
            pa.field("image_b", pa.string(), nullable=False),
            pa.field("face_a", pa.string(), nullable=False),
            pa.field("face_b", pa.string(), nullable=False),
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Rows of the images table. A copy's original is an earlier row of the same identity.

    ``exact`` have the original's bytes, ``near`` are re-encoded, resized or trimmed. ``across``
    counts photos that stand under several identities, by bytes or nearly. ``pairs`` are all that
    are one picture.
    """

    exact: frozenset[int]
    near: frozenset[int]
    across: int
    pairs: tuple[CopyPair, ...]

    def counts(self) -> dict[str, int]:
        """How many of each kind, for the report."""
        return {"exact": len(self.exact), "near": len(self.near), "across": self.across}


def find_copies(images: Sequence[ImageRecord], measured: Measured, crops: CropReader) -> Copies:
    """Find copies within identities, and count those across them.

    Near copies have close perceptual hashes, or are in different sources with faces that embed
    alike, and their faces are the same picture; distinct photos of one burst are not copies.
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
    pairs = _near_pairs(images, measured, crops)
    for pair in pairs:
        shared = claims[pair.image_a] & claims[pair.image_b]
        near.update(max(first[name, pair.image_a], first[name, pair.image_b]) for name in shared)
        if claims[pair.image_a] != claims[pair.image_b]:
            across.add(pair.image_b)
    return Copies(exact=frozenset(exact), near=frozenset(near), across=len(across), pairs=pairs)


def _near_pairs(
    images: Sequence[ImageRecord], measured: Measured, crops: CropReader
) -> tuple[CopyPair, ...]:
    pictures = Pictures.of(measured)
    source_of = {image.image_id: image.source for image in reversed(images)}
    sources = [source_of[image_id] for image_id in pictures.image_ids]
    group = np.unique(sources, return_inverse=True)[1].astype(np.int64)
    proposed = [
        propose_by_hash(pictures),
        propose_by_face(pictures, group, threads=usable_cores()),
    ]
    found = confirm(pictures, np.unique(np.concatenate(proposed), axis=0), crops.some)
    return tuple(
        CopyPair(
            image_a=pictures.image_ids[a],
            image_b=pictures.image_ids[b],
            face_a=pictures.face_ids[a],
            face_b=pictures.face_ids[b],
        )
        for a, b in found.tolist()
    )
