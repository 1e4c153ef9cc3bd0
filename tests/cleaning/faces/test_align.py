from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from insightface.utils import face_align
from numpy.typing import NDArray

from cleaning.faces.align import (
    CROP_SIZE,
    TEMPLATE,
    align_face,
    decode_crops,
    encode_crop,
    similarity_transform,
)
from facedata.errors import IntegrityError


def norm_crop(photo: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(face_align.norm_crop(photo, landmarks), dtype=np.uint8)


def turned(scale: float, degrees: float, x: float, y: float) -> NDArray[np.float64]:
    angle = np.radians(degrees)
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return TEMPLATE @ matrix.T + (x, y)


@given(
    scale=st.floats(0.1, 20),
    degrees=st.floats(-180, 180),
    x=st.floats(-500, 500),
    y=st.floats(-500, 500),
)
def test_a_moved_template_comes_back(scale: float, degrees: float, x: float, y: float) -> None:
    landmarks = turned(scale, degrees, x, y).astype(np.float32)
    matrix = similarity_transform(landmarks)
    back = landmarks @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(back - TEMPLATE).max() < 0.01 + 1e-3 / scale


@pytest.mark.parametrize("seed", range(20))
def test_the_crop_is_insightface_s(seed: int) -> None:
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 255, (300, 260, 3), dtype=np.uint8)
    spread = turned(rng.uniform(0.3, 3), rng.uniform(-60, 60), *rng.uniform(-40, 80, 2))
    landmarks = (spread + rng.normal(0, 4, (5, 2))).astype(np.float32)
    difference = align_face(photo, landmarks).astype(int) - norm_crop(photo, landmarks)
    assert np.abs(difference).max() <= 1


def test_outside_the_photo_is_black() -> None:
    photo = np.full((112, 112, 3), 200, dtype=np.uint8)
    crop = align_face(photo, (TEMPLATE + np.array([-56, 0])).astype(np.float32))
    assert (crop[:, :50] == 0).all()
    assert (crop[:, 60:] == 200).all()


def test_coinciding_landmarks_give_a_flat_crop() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (50, 50, 3), dtype=np.uint8)
    crop = align_face(photo, np.full((5, 2), 20.0, dtype=np.float32))
    assert (crop == crop[0, 0]).all()


def test_crops_survive_their_encoding() -> None:
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 255, (3, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    encoded = [encode_crop(crop) for crop in crops]
    assert np.array_equal(decode_crops(encoded), crops)
    assert encoded == [encode_crop(crop) for crop in crops]
    assert decode_crops([]).shape == (0, CROP_SIZE, CROP_SIZE, 3)


@pytest.mark.parametrize("data", [b"", b"junk", encode_crop(np.zeros((5, 5, 3), dtype=np.uint8))])
def test_a_damaged_crop_is_an_integrity_error(data: bytes) -> None:
    good = encode_crop(np.zeros((CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8))
    with pytest.raises(IntegrityError, match=r"crop 1: .*run the faces stage again"):
        decode_crops([good, data])
