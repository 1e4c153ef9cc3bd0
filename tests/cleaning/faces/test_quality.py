from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cleaning.faces.align import TEMPLATE
from cleaning.faces.quality import (
    _HEAD,
    estimate_pose,
    measure_blur,
    measure_prominence,
    measure_size,
)


def box(*corners: float) -> NDArray[np.float32]:
    return np.array(corners, dtype=np.float32)


def seen(yaw: float, pitch: float, roll: float, scale: float = 30.0) -> NDArray[np.float32]:
    """The mean head's points under a rotation, seen from far away; x right, y down."""
    y, p, r = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    nod = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    tilt = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    points = _HEAD @ (tilt @ turn @ nod).T
    return (points[:, :2] * scale + (70, 50)).astype(np.float32)


@given(
    yaw=st.floats(-75, 75),
    pitch=st.floats(-45, 45),
    roll=st.floats(-170, 170),
    scale=st.floats(5, 300),
)
def test_pose_of_a_mean_head_is_exact(yaw: float, pitch: float, roll: float, scale: float) -> None:
    pose = estimate_pose(seen(yaw, pitch, roll, scale))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((yaw, pitch, roll), abs=0.05)


def test_the_signs_are_as_documented() -> None:
    template = TEMPLATE.astype(np.float32)
    nose_right, nose_down = template.copy(), template.copy()
    nose_right[2, 0] += 8
    nose_down[2, 1] += 8
    assert estimate_pose(nose_right).yaw > 10
    assert estimate_pose(nose_down).pitch > 10
    right_eye_down = template.copy()
    right_eye_down[1, 1] += 10
    assert estimate_pose(right_eye_down).roll > 3


def test_the_template_is_a_frontal_face() -> None:
    pose = estimate_pose(TEMPLATE.astype(np.float32))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((0, 0, 0), abs=1.5)


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.arange(10).reshape(5, 2)])
def test_degenerate_landmarks_give_finite_angles(points: NDArray[np.float64]) -> None:
    pose = estimate_pose(points.astype(np.float32))
    assert np.isfinite([pose.yaw, pose.pitch, pose.roll]).all()


def test_blur_falls_with_blurring() -> None:
    crop = np.random.default_rng(0).integers(0, 255, (112, 112, 3), dtype=np.uint8)
    values = [measure_blur(crop)]
    values += [measure_blur(cv2.GaussianBlur(crop, (0, 0), sigma)) for sigma in (0.7, 1.5, 3.0)]
    assert values == sorted(values, reverse=True)
    assert measure_blur(np.full((112, 112, 3), 90, dtype=np.uint8)) == 0.0


def test_blur_of_a_known_picture() -> None:
    crop = np.zeros((112, 112, 3), dtype=np.uint8)
    crop[50, 50] = 10
    # One pixel of 10: the Laplacian is −40 there and 10 at its four neighbours.
    assert measure_blur(crop) == pytest.approx((40**2 + 4 * 10**2) / 112**2)


def test_size_is_the_shorter_side() -> None:
    assert measure_size(box(-5, 0, 25, 40)) == 30.0


def test_prominence_of_known_boxes() -> None:
    assert measure_prominence(box(0, 0, 100, 50), 100, 50) == 1.0
    assert measure_prominence(box(25, 25, 75, 75), 100, 100) == pytest.approx(0.5)
    assert measure_prominence(box(0, 0, 50, 50), 100, 100) == pytest.approx(0.5 * 0.75)
    # What lies outside the photo does not count.
    assert measure_prominence(box(-100, -100, 50, 50), 100, 100) == pytest.approx(0.5 * 0.75)
    assert measure_prominence(box(200, 200, 250, 250), 100, 100) == 0.0
