"""Five-point alignment to the ArcFace template, for training crops and measurements.

Template: Deng et al., "ArcFace" (arXiv:1801.07698), as distributed with insightface.
"""

from __future__ import annotations

import cv2
import numpy as np

from demo.arrays import Floats, Image

SIZE = 112
MARGIN = 16
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366],
     [41.5493, 92.3655], [70.7299, 92.2041]], dtype=np.float32,
)  # fmt: skip


def similarity_transform(landmarks: Floats, *, margin: int = 0) -> Floats:
    """Return the 2x3 similarity that maps ``landmarks`` (5, 2) onto the template.

    Least squares over rotation, scale and translation (Umeyama 1991).
    """
    target = TEMPLATE.astype(np.float64) + margin
    source = landmarks.astype(np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    scale = (a * b).sum() / (a * a).sum()
    turn = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / (a * a).sum()
    linear = np.array([[scale, -turn], [turn, scale]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def aligned(image: Image, landmarks: Floats, *, margin: int = 0) -> Image:
    """Return the face aligned to 112×112 pixels plus ``margin`` on every side."""
    size = SIZE + 2 * margin
    matrix = similarity_transform(landmarks, margin=margin)
    return np.asarray(
        cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
    )
