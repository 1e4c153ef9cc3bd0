"""Pictures composed for training: marks follow the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from training.demo_pack.renders import (
    CROP,
    SIDE,
    TEMPLATE,
    Renders,
    compose_face,
    compose_scene,
    similarity,
)


@pytest.fixture(scope="module")
def renders() -> Renders:
    """One cut-out: a grey square with a white dot at its five marks, on black backgrounds."""
    layer = np.zeros((1, 216, 256, 4), dtype=np.uint8)
    layer[0, 40:140, 80:176] = (90, 90, 90, 255)
    marks = np.array([[108, 80], [148, 80], [128, 100], [112, 118], [144, 118]], dtype=np.float32)
    for x, y in marks.astype(int):
        layer[0, y - 2 : y + 3, x - 2 : x + 3, :3] = 255
    rows = np.concatenate([[80, 40, 176, 140], marks.ravel()]).astype(np.float32)[None]
    empty = np.zeros((2, 320, 320, 3), dtype=np.uint8)
    return Renders(
        layers=layer,
        marks=rows,
        labels=np.zeros(1, dtype=np.int64),
        backgrounds=empty,
        scenes=empty,
        boxes=np.zeros((2, 6, 15), dtype=np.float32),
    )


def test_a_similarity_is_recovered() -> None:
    linear = np.array([[0.8, -0.6], [0.6, 0.8]]) * 2.0
    moved = TEMPLATE @ linear.T + (3.0, 4.0)
    matrix = similarity(TEMPLATE, moved)
    assert np.allclose(matrix, np.column_stack([linear, (3.0, 4.0)]), atol=1e-4)


def test_a_composed_face_has_the_crop_s_size(renders: Renders) -> None:
    picture = compose_face(renders, 0, np.random.default_rng(0), jitter=1.0)
    assert picture.shape == (CROP, CROP, 3)
    assert picture.dtype == np.uint8


def test_landmarks_of_composed_scenes_lie_on_the_bright_dots(renders: Renders) -> None:
    rng = np.random.default_rng(1)
    bright = []
    for _ in range(60):
        picture, faces = compose_scene(renders, rng)
        assert picture.shape == (SIDE, SIDE, 3)
        for row in faces:
            if row[2] - row[0] < 70:
                continue
            middle = picture[int((row[1] + row[3]) / 2) - 9, int((row[0] + row[2]) / 2)].mean()
            for x, y in row[4:].reshape(5, 2).astype(int):
                patch = picture[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4]
                bright.append(float(patch.max()) > middle + 20)
    assert len(bright) > 50
    assert np.mean(bright) > 0.9


def test_the_same_generator_gives_the_same_scene(renders: Renders) -> None:
    first, second = (compose_scene(renders, np.random.default_rng(7)) for _ in range(2))
    assert (first[1] == second[1]).all()
    assert (first[0] == second[0]).all()
