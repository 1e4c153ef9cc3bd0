"""Augmentation repeats itself for a key, and each change does what its name says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.data.augment import AugmentConfig, Image, augment
from training.data.decode import network_input


@pytest.fixture(scope="module")
def image() -> Image:
    return np.random.default_rng(1).integers(0, 256, (112, 112, 3), dtype=np.uint8)


def roughness(image: Image) -> float:
    return float(np.abs(np.diff(image.astype(float), axis=1)).mean())


def test_nothing_changes_unless_asked(image: Image) -> None:
    assert augment(image, AugmentConfig(flip=0), key=1) is image


def test_flip_mirrors(image: Image) -> None:
    assert np.array_equal(augment(image, AugmentConfig(flip=1), key=1), image[:, ::-1])


def test_about_half_are_mirrored(image: Image) -> None:
    config = AugmentConfig(flip=0.5)

    mirrored = [augment(image, config, key) is not image for key in range(2000)]

    assert 0.45 < np.mean(mirrored) < 0.55


def test_grey_has_equal_channels(image: Image) -> None:
    grey = augment(image, AugmentConfig(flip=0, grey=1), key=1)

    assert np.array_equal(grey[..., 0], grey[..., 1])
    assert np.array_equal(grey[..., 0], grey[..., 2])


@pytest.mark.parametrize("change", ["downscale", "blur"])
def test_detail_is_lost(image: Image, change: str) -> None:
    changed = augment(image, AugmentConfig(flip=0, **{change: 1}), key=5)

    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
    assert roughness(changed) < 0.8 * roughness(image)


def test_a_misaligned_crop_has_moved_a_little() -> None:
    dot = np.zeros((112, 112, 3), dtype=np.uint8)
    dot[54:58, 54:58] = 255
    centres = []
    for key in range(50):
        moved = augment(dot, AugmentConfig(flip=0, misalign=1), key)
        assert moved.shape == dot.shape
        centres.append([float(places.mean()) for places in np.nonzero(moved[..., 0])])

    away = np.abs(np.array(centres) - 55.5)

    assert away.max() <= 4.5
    assert (away.mean(axis=0) > 1).all()


@given(value=st.integers(0, 255), key=st.integers(0, 2**32))
def test_light_scales_an_even_picture_by_a_half_to_three_halves(value: int, key: int) -> None:
    even = np.full((8, 8, 3), value, dtype=np.uint8)

    lit = augment(even, AugmentConfig(flip=0, light=1), key)

    assert np.ptp(lit.astype(int)) <= 1
    assert round(0.5 * value) - 1 <= int(lit.min())
    assert int(lit.max()) <= min(255, round(1.5 * value) + 1)


def test_light_changes_contrast_and_colour(image: Image) -> None:
    lit = [augment(image, AugmentConfig(flip=0, light=1), key).astype(float) for key in range(40)]
    contrasts = [one.mean(axis=2).std() for one in lit]
    colours = [np.ptp(one, axis=2).mean() for one in lit]

    assert max(contrasts) > 1.5 * min(contrasts)
    assert max(colours) > 1.5 * min(colours)


def test_a_jpeg_copy_keeps_the_colours() -> None:
    red = np.zeros((112, 112, 3), dtype=np.uint8)
    red[..., 0] = 200

    copied = augment(red, AugmentConfig(flip=0, jpeg=1), key=1)

    assert np.abs(copied.astype(int) - red).max() < 40


def test_the_key_decides(image: Image) -> None:
    config = AugmentConfig(
        flip=0.5, misalign=0.5, light=0.5, downscale=0.5, blur=0.5, grey=0.5, jpeg=0.5
    )

    first = [augment(image, config, key) for key in range(20)]
    again = [augment(image, config, key) for key in range(20)]

    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({one.tobytes() for one in first}) > 10


def test_network_input_is_scaled_and_channels_first() -> None:
    images = torch.zeros(2, 112, 112, 3, dtype=torch.uint8)
    images[1, 3, 5, 2] = 255

    found = network_input(images)

    assert found.shape == (2, 3, 112, 112)
    assert found.dtype == torch.float32
    assert found[1, 2, 3, 5] == 1.0
    assert found.min() == -1.0
