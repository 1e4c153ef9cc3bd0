"""What a face is doing in one photo, and the shape of the moving parts that follows from it.

Geometry and paint both ask this module where the mouth, the lids and the brows are, so that they
agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.arrays import Floats
from demo.person import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """An expression; all in [0, 1] except ``gaze`` (head units, right and down positive).

    ``smile`` runs from -0.4 (stern) to 1, ``brow`` from -0.5 (frown) to 1 (raised).
    """

    smile: float = 0.3
    open: float = 0.0
    squint: float = 0.0
    brow: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lips:
    """The mouth after expression, head units."""

    y: float
    half_width: float
    corner: float
    upper: float
    lower: float
    gap: float
    bow: float


def lips(person: Person, expression: Expression) -> Lips:
    """Return the mouth's shape: a smile widens it, lifts the corners and thins the lips."""
    mouth, smile = person.mouth, expression.smile
    happy = max(smile, 0.0)
    thin = 1.0 - 0.22 * happy - 0.10 * max(person.age - 45, 0) / 30
    return Lips(
        y=mouth.y - 0.015 * happy,
        half_width=mouth.half_width * (1 + 0.20 * smile) * (1 - 0.10 * expression.open),
        corner=mouth.corner - 0.085 * smile,
        upper=mouth.upper * thin,
        lower=mouth.lower * thin,
        gap=0.20 * expression.open + 0.075 * max(happy - 0.45, 0.0) / 0.55,
        bow=mouth.bow * (1 - 0.6 * happy),
    )


def lid_heights(person: Person, expression: Expression) -> tuple[float, float]:
    """Return how far the upper lid rises above the eye line and the lower one falls below."""
    eyes = person.eyes
    squint = min(1.0, expression.squint + 0.35 * max(expression.smile, 0.0))
    wide = eyes.openness * (1 + 0.12 * max(expression.brow, 0.0)) * eyes.half_width / 0.235
    tired = 1 - 0.0035 * max(person.age - 40, 0)
    return 0.102 * wide * tired * (1 - 0.42 * squint), 0.078 * wide * (1 - 0.40 * squint)


def moved(x: Floats, y: Floats, person: Person, expression: Expression) -> tuple[Floats, Floats]:
    """Return rest coordinates moved by the expression (head units, front of the face)."""
    shape = lips(person, expression)
    rest = person.mouth
    side = np.abs(x)
    corner = np.exp(-(((side - rest.half_width) / 0.17) ** 2) - ((y - rest.y) / 0.16) ** 2)
    stretch = shape.half_width - rest.half_width
    new_x = x + np.sign(x) * corner * stretch
    new_y = y + corner * (shape.corner - rest.corner)
    cheek = np.exp(-(((side - 0.55) / 0.24) ** 2) - ((y - 0.58) / 0.22) ** 2)
    new_y = new_y - 0.035 * max(expression.smile, 0.0) * cheek
    below = np.clip((y - rest.y + 0.01) / 0.07, 0, 1) * np.clip((2.3 - y) / 0.5, 0, 1)
    middle = np.clip(1.25 - side / 0.75, 0, 1)
    new_y = new_y + shape.gap * below * middle
    brow = np.exp(-(((y - person.brows.y) / 0.16) ** 2))
    return new_x, new_y - 0.055 * expression.brow * brow
