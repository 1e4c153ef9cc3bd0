"""Light: a soft key with shadows, a fill, a sky; skin and hair answer to it in linear space."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from demo.arrays import Floats
from demo.raster import FAR, Camera, rasterise

Vector = tuple[float, float, float]

_MAP = 112


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """Light of a photo; directions point to the lamps (``y`` down, ``z`` to the viewer).

    Colours are linear; ``contrast`` in [0, 1] is how dark shadows get.
    """

    key: Vector = (-0.5, -0.55, 0.75)
    key_colour: Vector = (1.0, 0.96, 0.90)
    fill: Vector = (0.8, -0.1, 0.6)
    fill_colour: Vector = (0.20, 0.21, 0.24)
    sky_colour: Vector = (0.34, 0.34, 0.36)
    contrast: float = 0.6
    rim: float = 0.15


def unit(vector: Vector) -> Floats:
    """Return the vector with length 1, float32 (3,)."""
    array = np.asarray(vector, dtype=np.float32)
    return np.asarray(array / np.linalg.norm(array), dtype=np.float32)


def shadow(grids: list[Floats], receiver: Floats, light: Light) -> Floats:
    """Return how much key light reaches each point of ``receiver`` (rows, columns), in [0, 1].

    A shadow map of all posed ``grids`` is drawn from the lamp and compared softly.
    """
    frame = _lamp_frame(unit(light.key))
    camera = Camera(x=_MAP / 2, y=_MAP * 0.42, scale=_MAP / 4.8, distance=60.0)
    nearest = np.full((_MAP, _MAP), FAR, dtype=np.float32)
    for grid in grids:
        seen = rasterise(grid @ frame.T, camera, (_MAP, _MAP))
        np.minimum(nearest, seen.depth, out=nearest)
    turned = receiver @ frame.T
    place = camera.project(turned.reshape(-1, 3)).reshape(*receiver.shape[:2], 2)
    behind = camera.distance - turned[..., 2]
    lit = np.zeros(receiver.shape[:2], dtype=np.float32)
    for dx, dy in ((-0.9, -0.9), (0.9, -0.9), (-0.9, 0.9), (0.9, 0.9), (0.0, 0.0)):
        depth = cv2.remap(nearest, place[..., 0] + dx, place[..., 1] + dy, cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
        lit += np.clip(1.35 - (behind - depth) / 0.11, 0, 1)
    return np.asarray(cv2.GaussianBlur(lit / 5, (0, 0), 1.2), dtype=np.float32)


def _lamp_frame(direction: Floats) -> Floats:
    right = np.cross(np.array([0.0, 1.0, 0.0]), direction)
    right /= np.linalg.norm(right) + 1e-9
    down = np.cross(direction, right)
    return np.stack([right, down, direction]).astype(np.float32)


def _power16(value: Floats) -> Floats:
    """Return the 16th power by squaring, which is far cheaper than a general power."""
    for _ in range(4):
        value = value * value
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Points to be lit, float32: ``normal`` (n, 3), ``albedo`` (n, 3), the rest (n,)."""

    normal: Floats
    albedo: Floats
    gloss: Floats
    lit: Floats
    hollow: Floats


def shade_skin(surface: Surface, light: Light) -> Floats:
    """Return linear colour (n, 3) of skin: wrapped diffuse with a reddish terminator."""
    normal = surface.normal
    key, fill = unit(light.key), unit(light.fill)
    facing = normal @ key
    lit = 1 - light.contrast * (1 - surface.lit)
    wrap = np.stack([np.clip((facing + w) / (1 + w), 0, 1) for w in (0.42, 0.28, 0.24)], axis=1)
    light_rgb = (wrap * lit[:, None]) * np.asarray(light.key_colour, dtype=np.float32)
    filled = np.clip((normal @ fill + 0.4) / 1.4, 0, 1)[:, None]
    light_rgb += filled * np.asarray(light.fill_colour, dtype=np.float32)
    sky = (0.62 - 0.38 * normal[:, 1]) * surface.hollow
    light_rgb += sky[:, None] * np.asarray(light.sky_colour, dtype=np.float32)
    deep = (1 - surface.hollow)[:, None] * np.array([0.62, 0.88, 0.96], dtype=np.float32)
    colour = surface.albedo * light_rgb * (1 - deep)
    half = unit((light.key[0], light.key[1], light.key[2] + float(np.linalg.norm(light.key))))
    shine = np.clip(normal @ half, 0, 1)
    broad = _power16(shine)
    highlight = surface.gloss * lit * broad * (0.55 + 0.65 * broad * broad)
    grazing = np.clip(1 - np.abs(normal[:, 2]), 0, 1)
    edge = grazing * grazing * grazing * light.rim * surface.hollow
    return np.asarray(
        colour
        + highlight[:, None] * np.asarray(light.key_colour, dtype=np.float32) * 0.32
        + edge[:, None] * np.asarray(light.sky_colour, dtype=np.float32) * 0.5,
        dtype=np.float32,
    )


def shade_hair(surface: Surface, tangent: Floats, light: Light) -> Floats:
    """Return linear colour (n, 3) of hair with bands of highlight along the strands (Kajiya-Kay).

    ``tangent`` (n, 3) is the unit direction of the strands.
    """
    normal, key = surface.normal, unit(light.key)
    facing = np.clip((normal @ key + 0.45) / 1.45, 0, 1) * (
        1 - light.contrast * 0.6 * (1 - surface.lit)
    )
    sky = (0.62 - 0.38 * normal[:, 1])[:, None] * np.asarray(light.sky_colour, dtype=np.float32)
    total = facing[:, None] * np.asarray(light.key_colour, dtype=np.float32) + sky
    total += np.asarray(light.fill_colour, dtype=np.float32) * 0.5
    half = unit((light.key[0], light.key[1], light.key[2] + float(np.linalg.norm(light.key))))
    along = tangent @ half
    band = _power16(np.clip(1 - along * along, 0, 1)) * np.clip(normal @ half, 0, 1)
    shine = (surface.gloss * band * facing)[:, None]
    tint = 0.06 + 0.75 * surface.albedo
    return np.asarray(
        (surface.albedo * total + shine * tint) * surface.hollow[:, None], dtype=np.float32
    )
