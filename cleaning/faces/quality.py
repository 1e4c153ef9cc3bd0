"""Quality of a detected face: blur, prominence and pose; measured once, judged later."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# A mean adult face in units of half the eye distance: x to the image's right, y down, z towards
# the viewer; the same five points as ``align.TEMPLATE``.
_HEAD: NDArray[np.float64] = np.array(
    [
        [-1.0, 0.0, 0.0],
        [1.0, 0.0, 0.0],
        [0.0, 1.14, 0.95],
        [-0.83, 2.3, 0.1],
        [0.83, 2.3, 0.1],
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Head rotation in degrees, 0 for a frontal upright face.

    ``yaw`` > 0 looks to the image's right, ``pitch`` > 0 looks down, ``roll`` > 0 is turned
    clockwise as seen in the image. Turned in this order: pitch, yaw, roll.
    """

    yaw: float
    pitch: float
    roll: float


def measure_blur(crop: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the grey crop, in squared grey levels; low is blurred.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def measure_size(box: NDArray[np.float32]) -> float:
    """The shorter side of a box x1, y1, x2, y2 in pixels."""
    return float(min(box[2] - box[0], box[3] - box[1]))


def measure_prominence(box: NDArray[np.float32], width: int, height: int) -> float:
    """How much a face is the photo's subject, in [0, 1].

    The square root of the box's share of the photo, times a factor that falls from 1 in the
    middle to one half in a corner.
    """
    x1, x2 = np.clip(box[[0, 2]].astype(np.float64), 0.0, width)
    y1, y2 = np.clip(box[[1, 3]].astype(np.float64), 0.0, height)
    share = (x2 - x1) * (y2 - y1) / (width * height)
    away = math.hypot((x1 + x2) / width - 1.0, (y1 + y2) / height - 1.0) / math.sqrt(2.0)
    return float(math.sqrt(share) * (1.0 - 0.5 * away))


def estimate_pose(landmarks: NDArray[np.float32]) -> Pose:
    """Estimate the head's rotation from (5, 2) landmarks, in pixels.

    Scaled orthography: the affine map of a mean head's five points onto the landmarks, by least
    squares, made a rotation (the first step of POSIT: DeMenthon and Davis, IJCV 1995). One mean
    head serves everybody, so a single face's angles are off by some 5 to 10 degrees; pitch most.
    """
    head = _HEAD - _HEAD.mean(axis=0)
    points = landmarks.astype(np.float64)
    affine = np.linalg.pinv(head) @ (points - points.mean(axis=0))
    left, singular, right = np.linalg.svd(affine.T, full_matrices=False)
    if singular[0] <= 0.0:
        return Pose(yaw=0.0, pitch=0.0, roll=0.0)
    across, down = left @ right
    forward = np.cross(across, down)
    return Pose(
        yaw=math.degrees(math.asin(float(np.clip(-forward[0], -1.0, 1.0)))),
        pitch=math.degrees(math.atan2(float(-forward[1]), float(forward[2]))),
        roll=math.degrees(math.atan2(float(down[0]), float(across[0]))),
    )
