"""The head, neck and shoulders as one grid: azimuth by height, a generalised cylinder with bumps.

Rows run from the crown down to the chest, columns from the right of the picture's back (-128°) over
the face (0°) to the other side (128°). See :mod:`demo.person` for the units.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import PchipInterpolator

from demo.arrays import Floats
from demo.expression import Expression, lips, moved
from demo.person import Person

COLUMNS = 97
AZIMUTH = np.radians(np.linspace(-128, 128, COLUMNS)).astype(np.float32)
HEAD_ROWS = np.concatenate(
    [
        np.linspace(-1.0, -0.4, 20, endpoint=False),
        np.linspace(-0.4, 1.75, 82, endpoint=False),
        np.linspace(1.75, 2.15, 10, endpoint=False),
        np.linspace(2.15, 3.6, 15, endpoint=False),
        np.linspace(3.6, 9.0, 8),
    ]
).astype(np.float32)
CAP_ROWS = 22
_CUT = 2.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Bust:
    """A grid of surface points.

    ``points`` is (rows, columns, 3) float32 after expression and before pose; ``rest_y`` (rows,
    columns) the height before expression, by which pose bends the neck; ``hollow`` (rows, columns)
    is the darkening of concave places in [0, 1], 1 meaning open.
    """

    points: Floats
    rest_y: Floats
    hollow: Floats


def smoothstep(low: float | Floats, high: float | Floats, value: Floats) -> Floats:
    """Return 0 below ``low``, 1 above ``high`` and a smooth cubic between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def crown_height(person: Person) -> float:
    """Return the ``y`` of the top of the skull (negative)."""
    return -1.62 * person.skull.crown


def row_heights(person: Person) -> Floats:
    """Return the rest ``y`` of each row, denser near the crown where the cap closes."""
    top = crown_height(person)
    angle = np.linspace(0, np.pi / 2, CAP_ROWS, endpoint=False)
    cap = -1.0 + (top + 1.0) * np.cos(angle)
    return np.concatenate([cap, HEAD_ROWS]).astype(np.float32)


def _curve(y: Floats, knots: dict[float, float]) -> Floats:
    points = PchipInterpolator(list(knots), list(knots.values()), extrapolate=True)
    inside = np.clip(y, min(knots), max(knots))
    return np.asarray(points(inside), dtype=np.float32)


def _cap(y: Floats, person: Person, exponent: float) -> Floats:
    """Close the skull above the eyes as a superellipse."""
    t = np.clip(y / crown_height(person), 0, 1)
    return np.asarray((1 - t**exponent) ** (1 / exponent), dtype=np.float32)


def cross_section(y: Floats, azimuth: Floats, person: Person) -> tuple[Floats, Floats]:
    """Return the skull's ``x`` and ``z`` at heights and azimuths (broadcast), before bumps."""
    skull = person.skull
    jaw = skull.jaw_width
    width = skull.width * _curve(
        y,
        {-0.6: 1.03, -0.2: 1.01, 0.15: 1.0, 0.5: 0.965, 0.85: (0.93 + jaw) / 2,
         1.15: jaw, 1.5: jaw * 0.95, 1.9: jaw * 0.9},
    )  # fmt: skip
    front = _curve(
        y,
        {-1.0: 1.10 + skull.forehead, -0.5: 1.08 + skull.forehead, -0.1: 1.02, 0.3: 1.03,
         0.7: 1.05, 1.1: 1.05, 1.45: 1.03, 1.9: 0.98},
    )  # fmt: skip
    back = _curve(y, {-0.8: 1.55, -0.2: 1.5, 0.5: 1.25, 1.0: 0.95, 1.6: 0.8})
    cap = _cap(y, person, _CUT)
    return _superellipse(width * cap, front * cap, back * cap, azimuth)


def _superellipse(
    width: Floats, front: Floats, back: Floats, azimuth: Floats
) -> tuple[Floats, Floats]:
    sine, cosine = np.sin(azimuth), np.cos(azimuth)
    power = 2 / 2.25
    x = width * np.sign(sine) * np.abs(sine) ** power
    z = np.where(cosine > 0, front, back) * np.sign(cosine) * np.abs(cosine) ** power
    return x.astype(np.float32), z.astype(np.float32)


def _neck(y: Floats, azimuth: Floats, person: Person) -> tuple[Floats, Floats]:
    """Neck, shoulders and chest."""
    n, broad = person.skull.neck, 1.08 - 0.16 * person.feminine
    width = _curve(
        y,
        {1.0: n, 1.9: n * 0.97, 2.12: n * 1.04, 2.3: n * 1.35, 2.44: 1.25 * broad,
         2.6: 1.85 * broad, 2.8: 2.35 * broad, 3.05: 2.68 * broad, 3.6: 2.85 * broad,
         9.0: 2.9 * broad},
    )  # fmt: skip
    depth = _curve(y, {1.0: 0.6, 2.0: 0.6, 2.3: 0.64, 2.6: 0.8, 3.1: 1.0, 4.4: 1.15, 9.0: 1.3})
    centre = _curve(y, {1.0: -0.22, 2.2: -0.38, 3.2: -0.42, 9.0: -0.42})
    x, z = width * np.sin(azimuth), centre + depth * np.cos(azimuth)
    return x.astype(np.float32), z.astype(np.float32)


def jaw_line(azimuth: Floats, person: Person) -> Floats:
    """Return the height of the jaw line: low at the chin, high at the angle of the jaw."""
    skull = person.skull
    from_chin = np.clip(np.abs(azimuth) - skull.chin_width, 0, None) / (1.45 - skull.chin_width)
    rise = skull.chin_length - skull.jaw_angle
    return (skull.chin_length - rise * np.minimum(from_chin, 1.25) ** 1.55).astype(np.float32)


def make_bust(person: Person, expression: Expression) -> Bust:
    """Return the surface of head, neck and shoulders."""
    heights, azimuth = row_heights(person)[:, None], AZIMUTH[None]
    face_x, face_z = cross_section(heights, azimuth, person)
    neck_x, neck_z = _neck(heights, azimuth, person)
    y = np.repeat(heights, COLUMNS, axis=1)
    jaw = jaw_line(azimuth, person)
    below = smoothstep(jaw - 0.04, jaw + 0.30, y)
    x = face_x * (1 - below) + neck_x * below
    z = face_z * (1 - below) + neck_z * below
    front = smoothstep(0.15, 0.55, np.cos(azimuth)) * (1 - below)
    z = z + front * _bumps(x, y, person, expression)
    x = x + _ears(y, azimuth, person)
    new_x, new_y = moved(x, y, person, expression)
    is_front = smoothstep(-0.1, 0.3, np.cos(azimuth))
    x, moved_y = x + (new_x - x) * is_front, y + (new_y - y) * is_front
    points = np.stack([x, moved_y, z], axis=-1).astype(np.float32)
    return Bust(points=points, rest_y=y, hollow=_hollow(points))


def _hollow(points: Floats) -> Floats:
    """Return how open each place is: deeper than its neighbourhood means darker."""
    z = np.ascontiguousarray(points[..., 2])
    wide = cv2.GaussianBlur(z, (0, 0), 5.0) - z
    fine = cv2.GaussianBlur(z, (0, 0), 2.0) - z
    open_ = 1.0 - 2.6 * np.clip(wide, -0.02, 0.2) - 3.0 * np.clip(fine, 0, 0.1)
    return np.asarray(np.clip(open_, 0.3, 1.06), dtype=np.float32)


def _ears(y: Floats, azimuth: Floats, person: Person) -> Floats:
    """Return the sideways bulge of the ears, flat plateaus with a raised rim."""
    size = person.skull.ear_size
    u = (np.abs(azimuth) - np.radians(99)) / 0.20
    v = (y - 0.22) / (0.42 * size)
    lean = u + 0.22 * v
    radius = np.sqrt(lean**2 / (1.05 - 0.25 * np.clip(v, -1, 1)) ** 2 + v**2)
    plateau = 1 - smoothstep(0.82, 1.08, radius)
    bowl = 0.55 * (1 - smoothstep(0.35, 0.75, np.hypot(lean - 0.05, v + 0.15)))
    return np.sign(azimuth) * person.skull.ear_out * plateau * (1 - bowl)


def _bump(u: Floats, v: Floats, width: float, height: float) -> Floats:
    return np.asarray(np.exp(-((u / width) ** 2) - (v / height) ** 2), dtype=np.float32)


def _bumps(x: Floats, y: Floats, person: Person, expression: Expression) -> Floats:
    """Return how far features stand out of the front of the face."""
    skull, side = person.skull, np.abs(x)
    eyes = person.eyes
    z = -eyes.depth * _bump(side - eyes.spacing * 0.92, y + 0.02, 0.25, 0.17)
    z += 0.075 * _bump(side - eyes.spacing, y, 0.17, 0.115)
    z += skull.brow_ridge * _bump(side - 0.38, y - person.brows.y - 0.03, 0.34, 0.10)
    z += (skull.cheekbone + 0.03 * max(expression.smile, 0)) * _bump(
        side - 0.60, y - 0.42, 0.24, 0.20
    )
    z += skull.cheek * _bump(side - 0.58, y - 0.86, 0.26, 0.28)
    z += skull.temple * _bump(side - 0.86, y + 0.35, 0.2, 0.3)
    z += (0.10 + skull.chin_depth) * _bump(side, y - skull.chin_length + 0.14, 0.25, 0.15)
    z += _nose(side, y, person) + _mouth(side, y, person, expression)
    fold = 0.30 + 0.26 * (y - 0.72) / 0.4
    line = np.exp(-(((side - fold) / 0.05) ** 2)) * smoothstep(0.62, 0.76, y)
    deep = 0.008 + 0.0004 * max(person.age - 30, 0) + 0.012 * max(expression.smile, 0)
    return np.asarray(z - deep * line * (1 - smoothstep(1.0, 1.15, y)))


def _nose(side: Floats, y: Floats, person: Person) -> Floats:
    nose = person.nose
    along = np.clip((y + 0.18) / (nose.base - 0.10 + 0.18), 0, 1)
    ridge = nose.bridge * np.clip((y + 0.42) / 0.40, 0, 1) * (1 - along) + nose.tip * along
    ridge = ridge + nose.hump * _bump(side * 0, y - 0.25, 1.0, 0.14)
    ridge = ridge * smoothstep(-0.50, -0.05, y)
    under = 1 - smoothstep(nose.base - 0.15, nose.base + 0.06, y)
    width = 0.125 + 0.055 * along + 0.25 * (nose.width - 0.195)
    body = ridge * under * np.exp(-((side / width) ** 2) * 0.9)
    tip = 0.075 * _bump(side, y - nose.base + 0.12, nose.tip_size, 0.10)
    wing = 0.14 * _bump(side - nose.width * 0.92, y - nose.base + 0.075, 0.072, 0.078)
    return np.asarray(body + tip + wing, dtype=np.float32)


def _mouth(side: Floats, y: Floats, person: Person, expression: Expression) -> Floats:
    mouth, width = person.mouth, lips(person, expression).half_width
    z = mouth.mound * _bump(side, y - mouth.y + 0.02, 0.42, 0.26)
    z += 0.55 * mouth.upper * _bump(side, y - mouth.y + mouth.upper * 0.55, 0.62 * width, 0.055)
    z += 0.60 * mouth.lower * _bump(side, y - mouth.y - mouth.lower * 0.55, 0.58 * width, 0.062)
    z -= 0.035 * _bump(side, y - mouth.y, width, 0.022)
    z -= 0.055 * _bump(side, y - mouth.y - mouth.lower - 0.10, 0.30, 0.07)
    z -= 0.018 * _bump(side, y - mouth.y + 0.17, 0.045, 0.075)
    return np.asarray(z, dtype=np.float32)


def surface_points(bust: Bust, places: Floats) -> Floats:
    """Return the (n, 3) points of the front surface at the (n, 2) places ``x, y``."""
    front = bust.points.reshape(-1, 3)
    front = front[front[:, 2] > 0.2]
    distance = ((front[None, :, :2] - places[:, None]) ** 2).sum(axis=2)
    near = np.argsort(distance, axis=1)[:, :4]
    weight = 1 / (np.take_along_axis(distance, near, axis=1) + 1e-6)
    depth = (front[near, 2] * weight).sum(axis=1) / weight.sum(axis=1)
    return np.concatenate([places, depth[:, None]], axis=1).astype(np.float32)
