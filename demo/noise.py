"""Fixed noise fields that textures sample: the same arrays in every process."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from demo.arrays import Floats

SIZE = 512
_LINE = 256  # remap takes pictures, not long lists: lists are cut into lines


def _blurred(seed: int, across: float, along: float) -> Floats:
    white = np.random.default_rng((0x401E, seed)).normal(size=(SIZE, SIZE)).astype(np.float32)
    padded = np.pad(white, 48, mode="wrap")
    soft = cv2.GaussianBlur(padded, (0, 0), sigmaX=across, sigmaY=along)[48:-48, 48:-48]
    return np.ascontiguousarray((soft - soft.mean()) / soft.std(), dtype=np.float32)


@lru_cache(maxsize=1)
def cloud() -> Floats:
    """Return soft noise, unit variance, features about 12 cells wide."""
    return 0.7 * _blurred(1, 6, 6) + 0.7 * _blurred(2, 14, 14)


@lru_cache(maxsize=1)
def grain() -> Floats:
    """Return fine noise, unit variance, features about 3 cells wide."""
    return _blurred(3, 1.1, 1.1)


@lru_cache(maxsize=1)
def strands() -> Floats:
    """Return noise drawn out along rows' direction (axis 0), like combed hair."""
    return 0.75 * _blurred(4, 0.9, 22) + 0.65 * _blurred(5, 2.6, 26)


@lru_cache(maxsize=1)
def curls() -> Floats:
    """Return clumpy noise, like curls."""
    return 0.8 * _blurred(6, 2.2, 2.2) + 0.6 * _blurred(7, 5, 5)


def look_up(field: Floats, u: Floats, v: Floats) -> Floats:
    """Return ``field`` at ``u, v`` in cells (arrays of one shape), wrapping around."""
    u, v = np.broadcast_arrays(u, v)
    if u.size == 0:  # remap refuses empty pictures
        return np.zeros(u.shape, dtype=np.float32)
    padded = -(-u.size // _LINE) * _LINE
    places = np.zeros((2, padded), dtype=np.float32)
    places[0, : u.size], places[1, : u.size] = np.mod(u, SIZE).ravel(), np.mod(v, SIZE).ravel()
    lines = places.reshape(2, -1, _LINE)
    found = cv2.remap(field, lines[0], lines[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(found.ravel()[: u.size].reshape(u.shape), dtype=np.float32)
