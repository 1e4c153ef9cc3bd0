"""Glasses, sunglasses and earrings, drawn as projected outlines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from demo.arrays import Floats
from demo.person import Colour, Person

Project = Callable[[Floats], Floats]


class Lenses(StrEnum):
    """What is worn before the eyes."""

    NONE = "none"
    CLEAR = "clear"
    SHADES = "shades"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wear:
    """Things worn; ``frame`` is the sRGB colour of the glasses."""

    lenses: Lenses = Lenses.NONE
    frame: Colour = (0.08, 0.07, 0.07)
    earrings: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """Where worn things sit: head points to pixels, pixels per head unit, the yaw in radians."""

    person: Person
    project: Project
    scale: float
    yaw: float


def paint_wear(rgb: Floats, alpha: Floats, wear: Wear, mount: Mount) -> None:
    """Draw what is worn into a layer, in place."""
    if wear.earrings:
        _earrings(rgb, alpha, mount)
    if wear.lenses is not Lenses.NONE:
        _glasses(rgb, alpha, wear, mount)


def _glasses(rgb: Floats, alpha: Floats, wear: Wear, mount: Mount) -> None:
    person = mount.person
    square = 2.0 + 2.5 * person.habits.frame
    height = 0.22 + 0.07 * (1 - person.habits.frame)
    wide = 0.345
    shades = wear.lenses is Lenses.SHADES
    if shades:
        wide, height = wide * 1.06, height * 1.18
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    u = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / square)
    v = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / square)
    rims = []
    for side in (-1, 1):
        x = side * (person.eyes.spacing + 0.03) + wide * u
        rims.append(mount.project(_on_front(x, 0.045 + height * v)))
    fill = np.zeros(alpha.shape, dtype=np.uint8)
    for rim in rims:
        cv2.fillPoly(fill, [_fixed(rim)], 255, cv2.LINE_AA, 4)
    lens = fill.astype(np.float32)[..., None] / 255
    down = np.linspace(0, 1, len(rgb), dtype=np.float32)[:, None, None]
    dark = np.asarray(wear.frame, dtype=np.float32) * 0.5 + 0.10 * (1 - down)
    strength = 0.90 if shades else 0.04
    rgb += lens * strength * ((dark if shades else 0.9) - rgb)
    _frame_lines(rgb, rims, wear, mount)


def _frame_lines(rgb: Floats, rims: list[Floats], wear: Wear, mount: Mount) -> None:
    lines = np.zeros(rgb.shape[:2], dtype=np.uint8)
    thick = max(1, round((0.022 + 0.030 * mount.person.habits.frame) * mount.scale))
    for rim in rims:
        cv2.polylines(lines, [_fixed(rim)], True, 255, thick, cv2.LINE_AA, 4)
    bridge = np.linspace(-0.14, 0.14, 7)
    arc = mount.project(_on_front(bridge, -0.02 - 0.06 * np.cos(bridge * 10)))
    cv2.polylines(lines, [_fixed(arc)], False, 255, thick, cv2.LINE_AA, 4)
    for side in (-1, 1):
        if side * mount.yaw < 0.12:
            hinge = side * (mount.person.eyes.spacing + 0.375)
            ends = np.array([[hinge, 0.0, _depth(hinge)], [side * 1.04, -0.02, 0.15]])
            arm = mount.project(ends.astype(np.float32))
            cv2.polylines(lines, [_fixed(arm)], False, 255, thick, cv2.LINE_AA, 4)
    mask = lines.astype(np.float32)[..., None] / 255
    rgb += 0.92 * mask * (np.asarray(wear.frame, dtype=np.float32) - rgb)


def _earrings(rgb: Floats, alpha: Floats, mount: Mount) -> None:
    ear = mount.person.skull.width + mount.person.skull.ear_out * 0.7
    lobe = 0.22 + 0.40 * mount.person.skull.ear_size
    for side in (-1, 1):
        if side * mount.yaw > 0.15:
            continue
        centre = mount.project(np.array([[side * ear, lobe + 0.04, -0.10]], dtype=np.float32))[0]
        spot = np.zeros(alpha.shape, dtype=np.uint8)
        radius = max(1, round(0.045 * mount.scale * 8))
        at = (round(float(centre[0]) * 8), round(float(centre[1]) * 8))
        cv2.circle(spot, at, radius, 255, -1, cv2.LINE_AA, 3)
        mask = spot.astype(np.float32)[..., None] / 255
        rgb += mask * (np.array([0.93, 0.86, 0.66], dtype=np.float32) - rgb)
        np.maximum(alpha, mask[..., 0], out=alpha)


def _depth(x: float | Floats) -> Floats:
    return np.asarray(1.27 - 0.20 * np.asarray(x) ** 2)


def _on_front(x: Floats, y: Floats) -> Floats:
    return np.stack([x, y, _depth(x)], axis=1).astype(np.float32)


def _fixed(points: Floats) -> npt.NDArray[np.int32]:
    """Return points in 1/16 pixel, as OpenCV's sub-pixel drawing wants them."""
    return np.round(points * 16).astype(np.int32)
