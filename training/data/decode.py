"""From encoded crops to the input of a backbone."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from facedata.errors import IntegrityError

SIDE = 112
"""Width and height of an aligned crop, in pixels."""


def decode_crop(data: bytes, origin: str) -> NDArray[np.uint8]:
    """Decode a crop to (112, 112, 3) uint8, RGB; ``origin`` names it in errors.

    Raises:
        IntegrityError: when it is no image, or not an aligned crop by its size.
    """
    pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise IntegrityError(
            f"{origin}: {len(data)} bytes that are no image; release the version again"
        )
    if pixels.shape != (SIDE, SIDE, 3):
        height, width = pixels.shape[:2]
        raise IntegrityError(
            f"{origin}: image of {width}×{height} pixels, expected {SIDE}×{SIDE}; "
            "train on a released version, whose crops are aligned"
        )
    return np.asarray(pixels, dtype=np.uint8)


def network_input(images: torch.Tensor) -> torch.Tensor:
    """Turn crops (n, 112, 112, 3) uint8 RGB into (n, 3, 112, 112) float32 in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float().sub(127.5).div(127.5)
