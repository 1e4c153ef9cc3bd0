from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cleaning.faces.duplicates import (
    SAME_PICTURE,
    confirm_pairs,
    find_close_pairs,
    hash_to_hex,
    hashes_from_hex,
    perceptual_hash,
    picture_similarity,
)


def picture(seed: int, side: int = 112) -> NDArray[np.uint8]:
    """A smooth random picture with detail at several scales, as photos have."""
    rng = np.random.default_rng(seed)
    total = np.zeros((side, side, 3), dtype=np.float32)
    for cells in (3, 6, 12, 24):
        coarse = rng.normal(size=(cells, cells, 3)).astype(np.float32)
        total += cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC) * 40 / cells**0.5
    return np.clip(total + 120, 0, 255).astype(np.uint8)


def re_encoded(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


def resized(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(image, None, fx=factor, fy=factor, interpolation=method)
    return np.asarray(scaled, dtype=np.uint8)


def shifted(image: NDArray[np.uint8], x: float, y: float, scale: float) -> NDArray[np.uint8]:
    matrix = np.array([[scale, 0, x], [0, scale, y]])
    moved = cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.uint8)


def brute_force(hashes: NDArray[np.uint64], distance: int) -> list[list[int]]:
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    return [[int(i), int(j)] for i, j in np.argwhere(np.triu(apart <= distance, 1))]


@settings(deadline=None)
@given(
    seeds=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6),
    copies=st.lists(
        st.tuples(st.integers(0, 5), st.sets(st.integers(0, 63), max_size=13)), max_size=40
    ),
    distance=st.integers(0, 11),
)
def test_close_pairs_are_those_of_brute_force(
    seeds: list[int], copies: list[tuple[int, set[int]]], distance: int
) -> None:
    values = [seeds[i % len(seeds)] ^ sum(1 << bit for bit in bits) for i, bits in copies]
    hashes = np.array(seeds + values, dtype=np.uint64)
    assert find_close_pairs(hashes, distance).tolist() == brute_force(hashes, distance)


def test_close_pairs_of_many_equal_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    # More candidates than are held at once: they are taken in parts.
    monkeypatch.setattr("cleaning.faces.duplicates._PAIRS_AT_ONCE", 100)
    hashes = np.full(60, 12345, dtype=np.uint64)
    assert len(find_close_pairs(hashes, 4)) == 60 * 59 // 2


def test_close_pairs_of_nothing() -> None:
    assert find_close_pairs(np.empty(0, dtype=np.uint64), 6).shape == (0, 2)


@pytest.mark.parametrize("distance", [-1, 12])
def test_distances_out_of_range(distance: int) -> None:
    with pytest.raises(ValueError, match=f"max_distance is {distance}, expected 0 to 11"):
        find_close_pairs(np.zeros(2, dtype=np.uint64), distance)


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_hashes_survive_hex(values: list[int]) -> None:
    texts = [hash_to_hex(value) for value in values]
    assert all(len(text) == 16 for text in texts)
    assert hashes_from_hex(texts).tolist() == values


@pytest.mark.parametrize("seed", range(10))
def test_hashes_of_copies_are_close_and_of_others_far(seed: int) -> None:
    original = picture(seed, 200)
    own = perceptual_hash(original)
    copies = [re_encoded(original, 40), resized(original, 0.5), resized(original, 2.0)]
    copies.append(np.clip(original * 0.9 + 10, 0, 255).astype(np.uint8))
    for copy in copies:
        assert (own ^ perceptual_hash(copy)).bit_count() <= 6
    assert (own ^ perceptual_hash(picture(seed + 100, 200))).bit_count() > 12


@pytest.mark.parametrize("seed", range(6))
def test_copies_are_the_same_picture(seed: int) -> None:
    original = picture(seed)
    half = resized(resized(original, 0.5), 2.0)
    for copy in (original, re_encoded(original, 40), half, shifted(original, 2.3, -1.6, 1.02)):
        assert picture_similarity(original, copy) >= SAME_PICTURE


@pytest.mark.parametrize("seed", range(6))
def test_others_are_not(seed: int) -> None:
    original, other = picture(seed), picture(seed + 50)
    assert picture_similarity(original, other) < 0.9
    # One part changed, as an expression changes in a burst.
    burst = original.copy()
    burst[70:95, 30:80] = other[70:95, 30:80]
    assert picture_similarity(original, burst) < SAME_PICTURE


def test_flat_crops_and_large_moves_are_not_the_same() -> None:
    flat = np.full((112, 112, 3), 90, dtype=np.uint8)
    assert picture_similarity(flat, flat) == 0.0
    assert picture_similarity(flat, picture(0)) == 0.0
    assert picture_similarity(picture(0), shifted(picture(0), 16.0, 0.0, 1.0)) == 0.0


def test_confirm_keeps_the_same_pictures() -> None:
    crops = [picture(0), re_encoded(picture(0), 50), picture(1)]
    pairs = np.array([[0, 1], [0, 2], [1, 2]])
    assert confirm_pairs(pairs, crops.__getitem__).tolist() == [[0, 1]]
    assert confirm_pairs(pairs[:0], crops.__getitem__).shape == (0, 2)
