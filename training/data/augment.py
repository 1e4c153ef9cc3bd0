"""Random changes to a training image: a mirror, and what poor cameras and copies do to faces.

Each change has a probability of its own. The low-quality ones follow AdaFace (Kim et al., CVPR
2022, arXiv:2204.00964) in kind; ``light`` has its strengths. What happens to an image is a function
of the key alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.mixing import uniforms

Image = NDArray[np.uint8]
Strengths = NDArray[np.float64]

_TURN_DEGREES, _RESIZE, _MOVE_PIXELS = 5.0, 0.08, 4.0
"""Bounds of a misalignment: about twice what errors of 2 pixels in each landmark do to a crop."""
_LIGHT = (0.5, 1.5)
_LEAST_SCALE = 0.2
_JPEG_QUALITIES = (10, 60)
_BLUR_SIGMAS = (0.5, 2.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Probabilities in [0, 1] of each change; mirroring alone is the usual recipe."""

    flip: float = 0.5
    misalign: float = 0.0
    light: float = 0.0
    downscale: float = 0.0
    blur: float = 0.0
    jpeg: float = 0.0
    grey: float = 0.0


def augment(image: Image, config: AugmentConfig, key: int) -> Image:
    """Change an image (h, w, 3) uint8; the same key gives the same result.

    The order is that of a picture's life: mirrored, cut out a little wrongly, in another light,
    small, out of focus, without colour, copied.
    """
    chances = (
        config.flip,
        config.misalign,
        config.light,
        config.downscale,
        config.blur,
        config.grey,
        config.jpeg,
    )
    for change, chance, lots in zip(_CHANGES, chances, _draw(key), strict=True):
        if lots[0] < chance:
            image = change(image, lots[1:])
    return image


def is_mirrored(config: AugmentConfig, key: int) -> bool:
    """Whether ``augment`` mirrors the image of this key."""
    return bool(_draw(key)[0, 0] < config.flip)


def _draw(key: int) -> NDArray[np.float64]:
    """For each change a lot in [0, 1), and four strengths of which it takes what it needs."""
    return uniforms(5 * len(_CHANGES), key).reshape(-1, 5)


def _flip(image: Image, _strengths: Strengths) -> Image:
    return np.ascontiguousarray(image[:, ::-1])


def _misalign(image: Image, strengths: Strengths) -> Image:
    """Turn, resize and move as wrong landmarks would."""
    height, width = image.shape[:2]
    turn, resize, right, down = 2.0 * strengths - 1.0
    centre = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, _TURN_DEGREES * turn, 1.0 + _RESIZE * resize)
    matrix[:, 2] += _MOVE_PIXELS * right, _MOVE_PIXELS * down
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, dtype=np.uint8)


def _light(image: Image, strengths: Strengths) -> Image:
    """Multiply brightness, contrast and saturation."""
    dimmest, brightest = _LIGHT
    brightness, contrast, saturation = dimmest + strengths[:3] * (brightest - dimmest)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    middle = float(grey.mean())
    table = (np.arange(256) - middle) * contrast * brightness + middle * brightness
    lit = cv2.LUT(image, np.clip(np.rint(table), 0, 255).astype(np.uint8))
    without = cv2.cvtColor(cv2.cvtColor(lit, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(lit, saturation, without, 1.0 - saturation, 0.0), np.uint8)


def _downscale(image: Image, strengths: Strengths) -> Image:
    """Shrink to between all and a fifth of the size, and back."""
    height, width = image.shape[:2]
    scale = 1.0 - float(strengths[0]) * (1.0 - _LEAST_SCALE)
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(
        cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8
    )


def _blur(image: Image, strengths: Strengths) -> Image:
    sigma = _BLUR_SIGMAS[0] + float(strengths[0]) * (_BLUR_SIGMAS[1] - _BLUR_SIGMAS[0])
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)


def _grey(image: Image, _strengths: Strengths) -> Image:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def _jpeg(image: Image, strengths: Strengths) -> Image:
    worst, best = _JPEG_QUALITIES
    quality = round(best - float(strengths[0]) * (best - worst))
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    # Encoded and decoded as if it were BGR: the round trip leaves the channels where they were.
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)


_Change = Callable[[Image, Strengths], Image]
_CHANGES: tuple[_Change, ...] = (_flip, _misalign, _light, _downscale, _blur, _grey, _jpeg)
