"""Random changes to a training image: a mirror, and what poor cameras and copies do to faces.

Each change has a probability of its own. The low-quality ones follow AdaFace (Kim et al., CVPR
2022, arXiv:2204.00964) in kind. What happens to an image is a function of the key alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.mixing import uniforms

Image = NDArray[np.uint8]

_LEAST_SCALE = 0.2
_JPEG_QUALITIES = (10, 60)
_BLUR_SIGMAS = (0.5, 2.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Probabilities in [0, 1] of each change; mirroring alone is the usual recipe."""

    flip: float = 0.5
    downscale: float = 0.0
    blur: float = 0.0
    jpeg: float = 0.0
    grey: float = 0.0


def augment(image: Image, config: AugmentConfig, key: int) -> Image:
    """Change an image (h, w, 3) uint8; the same key gives the same result.

    The order is that of a picture's life: mirrored, small, out of focus, without colour, copied.
    """
    chances = (config.flip, config.downscale, config.blur, config.grey, config.jpeg)
    for change, chance, (lot, strength) in zip(_CHANGES, chances, _draw(key), strict=True):
        if lot < chance:
            image = change(image, float(strength))
    return image


def is_mirrored(config: AugmentConfig, key: int) -> bool:
    """Whether ``augment`` mirrors the image of this key."""
    return bool(_draw(key)[0, 0] < config.flip)


def _draw(key: int) -> NDArray[np.float64]:
    """A lot and a strength in [0, 1) for each change."""
    return uniforms(2 * len(_CHANGES), key).reshape(-1, 2)


def _flip(image: Image, _strength: float) -> Image:
    return np.ascontiguousarray(image[:, ::-1])


def _downscale(image: Image, strength: float) -> Image:
    """Shrink to between all and a fifth of the size, and back."""
    height, width = image.shape[:2]
    scale = 1.0 - strength * (1.0 - _LEAST_SCALE)
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(
        cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8
    )


def _blur(image: Image, strength: float) -> Image:
    sigma = _BLUR_SIGMAS[0] + strength * (_BLUR_SIGMAS[1] - _BLUR_SIGMAS[0])
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)


def _grey(image: Image, _strength: float) -> Image:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def _jpeg(image: Image, strength: float) -> Image:
    worst, best = _JPEG_QUALITIES
    quality = round(best - strength * (best - worst))
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    # Encoded and decoded as if it were BGR: the round trip leaves the channels where they were.
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)


_CHANGES: tuple[Callable[[Image, float], Image], ...] = (_flip, _downscale, _blur, _grey, _jpeg)
