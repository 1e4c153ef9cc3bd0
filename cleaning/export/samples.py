"""Training samples: one aligned face, its class index and everything known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from facedata.errors import IntegrityError
from facedata.records import FaceRecord, ImageRecord, LedgerRow

Fact = str | int | float | list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One training sample.

    ``key`` is unique in the set and has no dot; ``crop`` the aligned 112×112 face as PNG;
    ``class_index`` ≥ 0; ``facts`` go into the sample's JSON.
    """

    key: str
    crop: bytes
    class_index: int
    facts: Mapping[str, Fact]


def sample_of(image: ImageRecord, face: FaceRecord, row: LedgerRow, class_index: int) -> Sample:
    """Return the sample of a kept or moved image.

    Scores are rounded to 4 digits and pixels to 2: shards hold no more precision than there is.
    Where and when the bytes were stored is left out, so that the same data give the same shards.

    Raises:
        IntegrityError: when the three records are not about one image, or have no identity.
    """
    if not (image.image_id == face.image_id == row.image_id and face.face_id == row.face_id):
        raise IntegrityError(
            f"image {row.image_id!r}: its face {face.face_id!r} is not the ledger's "
            f"{row.face_id!r}; this is a defect, please report it"
        )
    if row.identity is None:
        raise IntegrityError(
            f"image {row.image_id!r} is {row.outcome} and has no identity, so it cannot be a "
            "training sample; this is a defect, please report it"
        )
    facts: dict[str, Fact] = {
        "identity": row.identity,
        "claimed_identity": row.claimed_identity,
        "outcome": row.outcome,
        "reason": row.reason,
        "face_id": face.face_id,
        "image_id": image.image_id,
        "source": image.source,
        "source_uri": image.source_uri,
        "url": image.url,
        "page_url": image.page_url,
        "licence": image.licence,
        "box": [round(value, 2) for value in face.box],
        "landmarks": [round(value, 2) for value in face.landmarks],
        "det_score": round(face.det_score, 4),
        "similarity": None if row.similarity is None else round(row.similarity, 4),
        "size": round(face.size, 2),
        "blur": round(face.blur, 2),
        "yaw": round(face.yaw, 2),
        "pitch": round(face.pitch, 2),
        "roll": round(face.roll, 2),
    }
    return Sample(key=face.face_id, crop=face.crop, class_index=class_index, facts=facts)
