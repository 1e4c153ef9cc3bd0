"""Clothes painted on neck, shoulders and chest: crew neck, shirt, suit, gown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from demo import noise
from demo.arrays import Floats, Indices
from demo.paint import Canvas, fade, hill, linear
from demo.person import Colour


class Cut(StrEnum):
    """How the garment is cut."""

    CREW = "crew"
    VEE = "vee"
    SHIRT = "shirt"
    SUIT = "suit"
    GOWN = "gown"
    ROLL = "roll"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """A garment; colours are sRGB, ``pattern`` in [0, 1] is the strength of stripes."""

    cut: Cut
    colour: Colour
    second: Colour
    pattern: float = 0.0


def paint_clothes(canvas: Canvas, outfit: Outfit) -> None:
    """Paint the garment over bare skin."""
    where = np.flatnonzero(canvas.y > 1.7)
    x, y = canvas.x[where], canvas.y[where]
    front = fade(-0.1, 0.25, canvas.z[where])
    main, second = linear(outfit.colour), linear(outfit.second)
    depth = _below_neckline(np.abs(x), y, front, outfit.cut)
    weave = 1 + 0.05 * noise.look_up(noise.grain(), x * 120, y * 120)
    folds = 1 + 0.05 * noise.look_up(noise.cloud(), x * 22, y * 12)
    stripes = 1 - outfit.pattern * 0.4 * fade(0.2, 0.6, np.sin(x * 42))
    colour = main * (weave * folds * stripes)[:, None]
    soft = max(canvas.soft, 0.012)
    mask = fade(-soft, soft, depth)
    canvas.blend(where, mask, colour.astype(np.float32))
    canvas.gloss[where] *= 1 - 0.85 * mask
    if outfit.cut in (Cut.SUIT, Cut.SHIRT):
        _front(canvas, where, outfit, (np.abs(x), y, front), second)
    rim = hill(depth - 0.02, 0.022) * (1 if outfit.cut is not Cut.GOWN else 0.3)
    canvas.darken(where, 0.22 * rim, (0.55, 0.55, 0.55))
    contact = hill(depth + 0.03, 0.05) * (depth < 0)
    canvas.darken(where, 0.25 * contact, (0.5, 0.42, 0.4))


def _below_neckline(x: Floats, y: Floats, front: Floats, cut: Cut) -> Floats:
    """Return the signed distance below the neckline, positive on cloth."""
    if cut is Cut.CREW:
        return np.asarray(y - (2.20 + 0.12 * front * hill(x, 0.45)))
    if cut is Cut.VEE:
        return np.asarray(y - (2.18 + 0.75 * front * np.clip(1 - x / 0.5, 0, 1)))
    if cut is Cut.ROLL:
        return y - 1.98
    if cut is Cut.GOWN:
        strap = 0.9 * fade(0.11, 0.06, np.abs(x - 0.95))
        return np.asarray(y - (3.05 - 0.25 * hill(x - 0.55, 0.4)) + strap)
    return np.asarray(y - (2.06 + 0.22 * front * hill(x, 0.30)))


def _front(
    canvas: Canvas,
    where: Indices,
    outfit: Outfit,
    place: tuple[Floats, Floats, Floats],
    second: Floats,
) -> None:
    """Paint collar, and for a suit the shirt, tie and lapels."""
    x, y, front = place
    soft = max(canvas.soft, 0.012)
    if outfit.cut is Cut.SUIT:
        opening = fade(soft, -soft, x - np.clip(0.46 - 0.42 * (y - 2.25), 0.02, 0.6)) * front
        shirt = opening * fade(2.06, 2.12, y)
        canvas.blend(where, shirt, linear((0.93, 0.93, 0.94)))
        tie = fade(soft, -soft, x - 0.045 - 0.06 * np.clip(y - 2.42, 0, 1.2)) * fade(2.3, 2.36, y)
        canvas.blend(where, tie * opening, second)
        lapel = hill(x - np.clip(0.46 - 0.42 * (y - 2.25), 0.02, 0.6) - 0.02, 0.03) * front
        canvas.darken(where, 0.5 * lapel * fade(2.1, 2.2, y), (0.4, 0.4, 0.4))
    edge = 2.36 + 0.10 * fade(0.10, 0.5, x) - 0.9 * np.clip(0.10 - x, 0, 1)
    collar = fade(soft, -soft, y - edge) * fade(2.05, 2.10, y)
    white = linear((0.95, 0.95, 0.95)) if outfit.cut is Cut.SUIT else linear(outfit.colour) * 1.12
    canvas.blend(where, 0.9 * collar * fade(0.02, 0.08, x), np.clip(white, 0, 1).astype(np.float32))
    line = hill(y - edge, 0.022) * fade(0.03, 0.10, x) * fade(0.75, 0.55, x)
    canvas.darken(where, 0.35 * line, (0.5, 0.5, 0.5))
