"""What a face set accepts, and how it lists claims."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cleaning.identity.faceset import FaceSet
from facedata.errors import IntegrityError


def arrays(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "embeddings": np.eye(3, dtype=np.float32),
        "photo": np.array([0, 0, 1], np.int64),
        "identity": np.array([4, 4, 2], np.int64),
        "prominence": np.array([0.0, 0.5, 1.0], np.float32),
    }
    return fields | changes


def test_claims_are_the_distinct_pairs_of_photo_and_identity() -> None:
    faces = FaceSet(
        embeddings=np.eye(4, dtype=np.float32),
        photo=np.array([7, 7, 7, 3], np.int64),
        identity=np.array([1, 5, 1, 5], np.int64),
        prominence=np.zeros(4, np.float32),
    )

    claims = faces.claims()

    assert claims.photo.tolist() == [3, 7, 7]
    assert claims.identity.tolist() == [5, 1, 5]
    assert claims.of_row.tolist() == [1, 2, 1, 0]
    assert claims.shared.tolist() == [False, True, True]


def test_an_empty_set_has_no_claims() -> None:
    faces = FaceSet(
        embeddings=np.zeros((0, 8), np.float32),
        photo=np.zeros(0, np.int64),
        identity=np.zeros(0, np.int64),
        prominence=np.zeros(0, np.float32),
    )

    assert len(faces) == len(faces.claims()) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"photo": np.array([0, 1], np.int64)}, r"photo is int64 of shape \(2,\)"),
        ({"photo": np.array([0, 0, 1], np.int32)}, "photo is int32"),
        ({"embeddings": np.eye(3)}, "embeddings is float64"),
        ({"embeddings": 2 * np.eye(3, dtype=np.float32)}, "row 0 has length 2, expected 1"),
        ({"embeddings": np.full((3, 3), np.nan, np.float32)}, "row 0 has length nan"),
        ({"identity": np.array([0, -1, 0], np.int64)}, "is negative"),
        ({"prominence": np.array([0, 0, 1.5], np.float32)}, "prominence is outside"),
    ],
)
def test_a_malformed_set_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        FaceSet(**arrays(**changes))
