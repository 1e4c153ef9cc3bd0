from __future__ import annotations

from dataclasses import replace

import pytest

from cleaning.export.samples import sample_of
from facedata.errors import IntegrityError
from facedata.ledger import Reason
from facedata.records import FaceRecord, ImageRecord


@pytest.fixture
def records(row):
    ledger = row(1, Reason.BELONGS_TO_OTHER, "Ana", "Bea", similarity=0.61234567)
    image = ImageRecord(
        image_id=ledger.image_id,
        source="photos",
        source_uri="Ana/1.jpg",
        claimed_identity="Ana",
        location="somewhere/else",
        size_bytes=10,
        url="http://127.0.0.1/1.jpg",
        fetched_at="2026-01-01T00:00:00Z",
        licence="CC BY 4.0",
    )
    face = FaceRecord(
        face_id=ledger.face_id or "",
        image_id=ledger.image_id,
        face_index=0,
        det_score=0.876543,
        box=(1.2345, 2, 3, 4),
        landmarks=tuple(float(i) for i in range(10)),
        size=100.456,
        prominence=0.5,
        blur=12.345,
        yaw=-3.14159,
        pitch=0.0,
        roll=1.0,
        crop=b"crop",
    )
    return image, face, ledger


def test_facts_say_everything_known_but_place_and_time(records) -> None:
    image, face, ledger = records
    sample = sample_of(image, face, ledger, 7)
    assert (sample.key, sample.crop, sample.class_index) == (face.face_id, b"crop", 7)
    assert dict(sample.facts) == {
        "identity": "Bea",
        "claimed_identity": "Ana",
        "outcome": "moved",
        "reason": "belongs_to_other",
        "face_id": face.face_id,
        "image_id": image.image_id,
        "source": "photos",
        "source_uri": "Ana/1.jpg",
        "url": "http://127.0.0.1/1.jpg",
        "page_url": None,
        "licence": "CC BY 4.0",
        "box": [1.23, 2, 3, 4],
        "landmarks": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        "det_score": 0.8765,
        "similarity": 0.6123,
        "size": 100.46,
        "blur": 12.35,
        "yaw": -3.14,
        "pitch": 0.0,
        "roll": 1.0,
    }


def test_records_of_different_images_are_refused(records) -> None:
    image, face, ledger = records
    with pytest.raises(IntegrityError, match="is not the ledger's"):
        sample_of(replace(image, image_id="other"), face, ledger, 0)
    with pytest.raises(IntegrityError, match="is not the ledger's"):
        sample_of(image, face, replace(ledger, face_id="other-0"), 0)


def test_an_image_without_identity_is_refused(records) -> None:
    image, face, ledger = records
    dropped = replace(ledger, identity=None, outcome="dropped", reason="outlier")
    with pytest.raises(IntegrityError, match="is dropped and has no identity"):
        sample_of(image, face, dropped, 0)
