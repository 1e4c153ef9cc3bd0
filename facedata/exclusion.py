"""The certificate of exclusion: who was kept out of a version because of which excluded set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import pyarrow as pa


class How(StrEnum):
    """What ties somebody who came in to somebody of an excluded set."""

    NAME = "name"
    """Both have one name; the whole identity is out."""
    FACE = "face"
    """Their nearest faces reach the threshold; the whole identity is out."""
    PHOTO = "photo"
    """One picture is in both; the photo is out."""
    MERGED = "merged"
    """People said that the identity is one person with another that is out, ``via``."""
    REMAINING = "remaining"
    """Nothing: the nearest faces of the version and the set that are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExclusionRow:
    """One reason to keep somebody out, or, as ``remaining``, how near the rest of the version is.

    ``how`` is a ``How``. ``identity`` is the name under which the photos came in, or in the version
    for ``remaining``; ``excluded_identity`` a name in ``excluded_set``. ``similarity`` is the
    cosine of the nearest faces, ``face_id`` and ``excluded_face_id``; null where no face was
    compared. ``image_id`` and ``excluded_image_id`` are the two images of one picture. ``photos``
    counts what the version lost by it, 0 where it had been lost already: all that the identity
    would have shipped, so that rows of one identity repeat the number.
    """

    how: str
    identity: str
    excluded_set: str
    excluded_identity: str
    similarity: float | None
    face_id: str | None
    excluded_face_id: str | None
    image_id: str | None = None
    excluded_image_id: str | None = None
    via: str | None = None
    photos: int = 0

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("how", pa.string(), nullable=False),
            pa.field("identity", pa.string(), nullable=False),
            pa.field("excluded_set", pa.string(), nullable=False),
            pa.field("excluded_identity", pa.string(), nullable=False),
            pa.field("similarity", pa.float32()),
            pa.field("face_id", pa.string()),
            pa.field("excluded_face_id", pa.string()),
            pa.field("image_id", pa.string()),
            pa.field("excluded_image_id", pa.string()),
            pa.field("via", pa.string()),
            pa.field("photos", pa.int64(), nullable=False),
        ]
    )
