"""Photos that are one picture: proposals from both sides, decided by pixels."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cleaning.faces.align import encode_crop
from cleaning.stages.pictures_alike import (
    Pictures,
    confirm,
    propose_by_face,
    propose_by_hash,
)


def drawn(seed: int) -> NDArray[np.uint8]:
    """A smooth random crop: no two seeds give one picture."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (14, 14, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (112, 112), interpolation=cv2.INTER_CUBIC), np.uint8)


def softened(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same picture at half the size and back."""
    small = cv2.resize(crop, (56, 56), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (112, 112)), np.uint8)


CROPS = {
    "a": drawn(1),
    "b": softened(drawn(1)),
    "c": drawn(2),
    "d": softened(drawn(2)),
    "e": drawn(3),
}
# a and b embed alike, so do c, d and e; of these three e is the nearest to c.
VECTORS = {"a": [1, 0, 0], "b": [1, 0.2, 0], "c": [0, 1, 0], "d": [0, 1, 0.4], "e": [0, 1, 0.1]}
HASHES = {"a": 0, "b": 1 << 60, "c": 0b1111, "d": 0xFFFF0000, "e": 0xFFFF0001}


def crops_of(faces: Collection[str]) -> dict[str, bytes]:
    return {face: encode_crop(CROPS[face]) for face in faces}


@pytest.fixture
def pictures() -> Pictures:
    vectors = np.array(list(VECTORS.values()), np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Pictures(
        image_ids=[f"image-{name}" for name in VECTORS],
        hashes=np.array(list(HASHES.values()), np.uint64),
        face_ids=list(VECTORS),
        embeddings=vectors.astype(np.float16),
    )


def test_close_hashes_are_proposed(pictures: Pictures) -> None:
    assert propose_by_hash(pictures).tolist() == [[0, 1], [0, 2], [1, 2], [3, 4]]


def test_of_faces_the_nearest_in_each_other_set_is_proposed(pictures: Pictures) -> None:
    one_set = np.zeros(5, np.int64)
    assert propose_by_face(pictures, one_set, threads=1).tolist() == []
    two_sets = np.array([0, 1, 0, 1, 1], np.int64)
    # c–e is nearer than c–d, but c is the nearest that d has.
    assert propose_by_face(pictures, two_sets, threads=1).tolist() == [[0, 1], [2, 3], [2, 4]]
    three_sets = np.array([0, 1, 0, 1, 2], np.int64)
    found = propose_by_face(pictures, three_sets, threads=1).tolist()
    assert found == [[0, 1], [2, 3], [2, 4], [3, 4]]


def test_pixels_decide(pictures: Pictures) -> None:
    pairs = np.array([[0, 1], [0, 2], [2, 3], [2, 4]], np.int64)
    assert confirm(pictures, pairs, crops_of).tolist() == [[0, 1], [2, 3]]
    assert confirm(pictures, pairs[:0], crops_of).tolist() == []
