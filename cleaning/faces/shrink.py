"""Shrinking photos quickly without skipping pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def halve(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average every 2×2 pixels of a photo (height, width, 3); an odd last row or column goes.

    Repeated halving shrinks ten times as fast as OpenCV's area averaging, which is slow for all
    but this factor; linear sampling alone would skip pixels and lose small faces.
    """
    height, width = photo.shape[0] // 2, photo.shape[1] // 2
    even = photo[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
