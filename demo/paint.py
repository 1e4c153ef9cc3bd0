"""A list of surface points that can be painted: the canvas of skin, eyes, lips and clothes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.arrays import Floats, Indices
from demo.person import Colour


def linear(colour: Colour) -> Floats:
    """Return a display colour in linear light, float32 (3,); a gamma of 2 keeps this cheap."""
    return np.asarray(np.clip(colour, 0, 1), dtype=np.float32) ** 2


def fade(low: float | Floats, high: float | Floats, value: Floats) -> Floats:
    """Return the smoothstep of ``value``; ``low`` > ``high`` gives a falling edge."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def hill(value: Floats, width: float | Floats) -> Floats:
    """Return a Gaussian bump of ``value`` around 0."""
    return np.asarray(np.exp(-((value / width) ** 2)), dtype=np.float32)


@dataclass(slots=True)
class Canvas:
    """Surface points being painted; all arrays are float32.

    ``x``, ``y``, ``z`` (n,) head units after expression; ``rgb`` (n, 3) linear albedo; ``gloss``
    (n,) strength of highlights; ``glow`` (n,) light added on top, for catchlights. ``soft`` is the
    width of an edge in head units: about one pixel.
    """

    x: Floats
    y: Floats
    z: Floats
    rgb: Floats
    gloss: Floats
    glow: Floats
    soft: float

    def blend(self, where: Indices, mask: Floats, colour: Floats) -> None:
        """Mix ``colour`` (3,) or (k, 3) into the points ``where`` by ``mask`` (k,)."""
        self.rgb[where] += mask[:, None] * (colour - self.rgb[where])

    def darken(self, where: Indices, mask: Floats, tint: Colour) -> None:
        """Multiply the points ``where`` towards ``tint`` by ``mask``."""
        self.rgb[where] *= 1 - mask[:, None] * (1 - np.asarray(tint, dtype=np.float32))

    def inside(self, left: float, right: float, top: float, bottom: float) -> Indices:
        """Return the indices of front points in a box."""
        box = (self.x > left) & (self.x < right) & (self.y > top) & (self.y < bottom)
        return np.flatnonzero(box & (self.z > 0.25))
