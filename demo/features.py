"""Eyes, brows and lips, painted as smooth fields in head units."""

from __future__ import annotations

import numpy as np

from demo import noise
from demo.arrays import Floats, Indices
from demo.expression import Expression, lid_heights, lips
from demo.paint import Canvas, fade, hill, linear
from demo.person import Person
from demo.skin import hair_colour, skin_tone

_IRIS = 0.104


def paint_eyes(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Paint both eyes with lids, lashes and catchlights."""
    for side in (-1.0, 1.0):
        _paint_eye(canvas, person, expression, side)


def eye_curves(u: Floats, person: Person, expression: Expression) -> tuple[Floats, Floats]:
    """Return the heights of the upper and lower lid edge at ``u`` (outward from the eye centre)."""
    width = person.eyes.half_width
    up, low = lid_heights(person, expression)
    t = np.clip(u / width, -1, 1)
    upper = -up * (1 - t * t) ** 0.72 * (1 - 0.16 * t)
    lower = low * (1 - t * t) ** 0.85 * (1 + 0.20 * t)
    return upper.astype(np.float32), lower.astype(np.float32)


def _paint_eye(canvas: Canvas, person: Person, expression: Expression, side: float) -> None:
    eyes = person.eyes
    centre = side * eyes.spacing
    where = canvas.inside(centre - 0.46, centre + 0.46, -0.34, 0.30)
    u = side * (canvas.x[where] - centre)
    v = canvas.y[where] - eyes.tilt * u
    upper, lower = eye_curves(u, person, expression)
    under_lid, over_lid = v - upper, lower - v
    ends = fade(eyes.half_width + 0.5 * canvas.soft, eyes.half_width - canvas.soft, np.abs(u))
    soft = 0.8 * canvas.soft
    opening = fade(-soft, soft, np.minimum(under_lid, over_lid)) * ends
    _lids(canvas, where, person, (u, v, upper, lower))
    _eyeball(canvas, where, person, (u, v, under_lid, opening))
    _iris(canvas, where, person, expression, (side, u, v, under_lid, opening))
    _lashes(canvas, where, person, (u, v, upper, lower))


def _lids(
    canvas: Canvas,
    where: Indices,
    person: Person,
    shape: tuple[Floats, Floats, Floats, Floats],
) -> None:
    u, v, upper, _ = shape
    eyes, makeup = person.eyes, person.habits.makeup
    span = fade(1.25, 0.85, np.abs(u) / eyes.half_width)
    lid = 0.045 + 0.05 * eyes.crease
    above = upper - v
    crease = hill(above - lid - 0.012 * u, 0.017) * span
    canvas.darken(where, (0.30 + 0.35 * eyes.crease) * crease, (0.46, 0.30, 0.27))
    shadow = fade(-0.01, 0.02, above) * fade(lid * 2.6, lid * 0.4, above) * span
    canvas.darken(where, (0.16 + 0.40 * makeup) * shadow, (0.60, 0.42, 0.42))
    socket = hill(above - 0.12, 0.10) * hill(u + 0.05, 0.26)
    canvas.darken(where, 0.14 * socket, (0.6, 0.45, 0.42))


def _eyeball(
    canvas: Canvas,
    where: Indices,
    person: Person,
    shape: tuple[Floats, Floats, Floats, Floats],
) -> None:
    u, v, under_lid, opening = shape
    white = linear((0.93, 0.905, 0.89))
    shade = 0.45 + 0.55 * fade(0.0, 0.085, under_lid)
    shade *= 1 - 0.30 * fade(0.10, 0.24, np.abs(u))
    canvas.blend(where, opening, white * shade[:, None])
    inner = hill(u + person.eyes.half_width - 0.03, 0.035) * hill(v, 0.04) * opening
    canvas.blend(where, 0.75 * inner, linear((0.80, 0.47, 0.44)))
    canvas.gloss[where] = np.maximum(canvas.gloss[where], 0.25 * opening)


def _iris(
    canvas: Canvas,
    where: Indices,
    person: Person,
    expression: Expression,
    shape: tuple[float, Floats, Floats, Floats, Floats],
) -> None:
    side, u, v, under_lid, opening = shape
    du, dv = u - side * expression.gaze[0], v + 0.002 - expression.gaze[1]
    radius = np.hypot(du, dv) / _IRIS
    soft = 0.7 * canvas.soft / _IRIS
    spokes = noise.look_up(noise.grain(), 40 * np.arctan2(dv, du) + person.seed % 300, radius * 3)
    tone = (0.72 + 0.55 * radius) * (1 + 0.14 * spokes) * fade(1.25, 0.62, radius)
    colour = linear(person.eyes.iris) * (1.35 * tone)[:, None]
    shade = 0.40 + 0.60 * fade(0.005, 0.075, under_lid)
    mask = opening * fade(1 + soft, 1 - soft, radius)
    canvas.blend(where, mask, np.clip(colour, 0.003, 1) * shade[:, None])
    ring = hill(radius - 0.95, 0.13) * mask
    canvas.darken(where, 0.55 * ring, (0.25, 0.22, 0.2))
    pupil = opening * fade(0.43 + soft, 0.43 - soft, radius)
    canvas.blend(where, pupil, np.full(3, 0.006, dtype=np.float32))
    spark = np.hypot(du + side * 0.028, dv + 0.034) / 0.026
    low = np.hypot(du - side * 0.030, dv - 0.036) / 0.020
    canvas.glow[where] += opening * (0.85 * fade(1.2, 0.6, spark) + 0.10 * fade(1.4, 0.3, low))


def _lashes(
    canvas: Canvas,
    where: Indices,
    person: Person,
    shape: tuple[Floats, Floats, Floats, Floats],
) -> None:
    u, v, upper, lower = shape
    eyes, made_up = person.eyes, person.habits.makeup
    thick = 0.013 + 0.014 * eyes.lash * person.feminine + 0.010 * made_up
    outward = fade(-0.9, 0.9, u / eyes.half_width)
    span = fade(1.12 + 0.10 * made_up, 0.98, np.abs(u - 0.01) / eyes.half_width)
    rise = np.where(u > eyes.half_width, 0.5 * (u - eyes.half_width), 0)
    above = upper - v - rise
    size = np.maximum(thick * (0.55 + 0.65 * outward), 0.45 * canvas.soft)
    line = fade(-0.5, 0.2, above / size) * fade(1.5, 0.6, above / size) * span
    dark = np.minimum(hair_colour(person) * 0.25, 0.02)
    canvas.blend(where, np.clip(0.92 * line, 0, 1), dark)
    fan = noise.look_up(noise.grain(), (u * 90 + above * 25), above * 5)
    tips = fade(0.0, 1.0, fan) * fade(0.055, 0.01, above) * fade(0.0, 0.01, above) * span
    canvas.blend(where, np.clip(0.55 * eyes.lash * person.feminine * tips * outward, 0, 1), dark)
    rim = hill(v - lower - 0.006, 0.010) * fade(1.0, 0.9, np.abs(u) / eyes.half_width)
    tint = skin_tone(person) * np.array([0.40, 0.26, 0.25], dtype=np.float32)
    canvas.blend(where, (0.42 + 0.3 * made_up) * rim, tint)


def paint_brows(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Paint the eyebrows as tapered bands of short hairs."""
    brows = person.brows
    height = brows.y - 0.055 * expression.brow + 0.012 * max(-expression.brow, 0.0)
    where = canvas.inside(-0.95, 0.95, height - 0.25, height + 0.2)
    x, y = np.abs(canvas.x[where]), canvas.y[where]
    u = (x - person.eyes.spacing - 0.01) / brows.half_length
    frown = 0.05 * max(-expression.brow, 0.0) * fade(0.2, -1.0, u)
    middle = height + brows.tilt * u * 0.6 - brows.arch * hill(u - 0.3, 0.75) + frown
    taper = fade(-1.08, -0.55, u) * 0.35 + 0.65 * fade(1.08, 0.15, u) * fade(-1.1, -0.8, u)
    half = np.maximum(brows.thickness * taper, 1e-3)
    across = (y - middle) / half
    offset = float(person.seed % 211)
    hairs = noise.look_up(noise.strands(), x * 130 - y * 75 + offset, y * 60 + x * 45)
    mask = fade(1.0, 0.35, np.abs(across) + 0.10 * hairs) * fade(1.1, 0.96, np.abs(u))
    alpha = mask * (0.70 + 0.28 * brows.density) * np.clip(0.92 + 0.16 * hairs, 0.3, 1)
    colour = np.minimum(hair_colour(person) * 0.75, 0.55 * skin_tone(person) + 0.01)
    canvas.blend(where, np.clip(alpha, 0, 1), colour)
    canvas.gloss[where] *= 1 - 0.8 * mask


def paint_lips(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Paint the lips, and teeth where the mouth is open."""
    shape = lips(person, expression)
    reach = shape.half_width + 0.12
    where = canvas.inside(-reach, reach, shape.y - 0.32, shape.y + shape.gap + 0.35)
    t = canvas.x[where] / shape.half_width
    flat = np.clip(1 - t * t, 0, 1)
    bowed = shape.bow * (hill(np.abs(t) - 0.24, 0.20) - 0.9 * hill(t, 0.13))
    line = shape.y + shape.corner * np.abs(t) ** 1.8 + 0.010 * hill(t, 0.25) * shape.bow
    top = line - shape.upper * flat**0.75 * (0.82 + 0.30 * bowed)
    low_line = line + shape.gap * flat**0.8
    bottom = low_line + shape.lower * flat**0.7
    y, soft = canvas.y[where], canvas.soft
    ends = fade(1.02, 0.95, np.abs(t))
    edge = max(soft, 0.010)
    upper = fade(-edge, edge, y - top) * fade(soft, -soft, y - line) * ends
    lower = fade(-soft, soft, y - low_line) * fade(edge, -edge, y - bottom) * ends
    tone = _lip_tone(person)
    streaks = noise.look_up(noise.strands(), canvas.x[where] * 90 + person.seed % 99, y * 30)
    texture = (1 + 0.06 * streaks)[:, None]
    canvas.blend(where, 0.93 * upper, 0.80 * tone * texture)
    roundness = (0.82 + 0.36 * hill((y - low_line) / shape.lower - 0.45, 0.45))[:, None]
    canvas.blend(where, 0.93 * lower, tone * texture * roundness)
    canvas.gloss[where] += (0.22 + 0.35 * person.habits.makeup) * np.maximum(lower, 0.5 * upper)
    _inner_mouth(canvas, where, (t, y, line, low_line), shape.gap)
    seam = hill(y - np.clip(y, line, low_line), 0.010 + 0.4 * soft) * fade(1.04, 0.9, np.abs(t))
    shut = seam if shape.gap < 0.01 else seam * fade(0.55, 1.0, np.abs(t))
    canvas.darken(where, 0.72 * shut, (0.26, 0.14, 0.13))
    corner = hill((np.abs(t) - 1.0) * shape.half_width, 0.032) * hill(y - line, 0.03)
    canvas.darken(where, 0.42 * corner, (0.4, 0.26, 0.24))


def _lip_tone(person: Person) -> Floats:
    rose = person.mouth.rose
    bare = skin_tone(person) * np.array([0.80, 0.50 - 0.08 * rose, 0.52 - 0.06 * rose])
    dressed = linear(person.habits.lipstick)
    share = 0.75 * person.habits.makeup
    return np.asarray(bare * (1 - share) + dressed * share, dtype=np.float32)


def _inner_mouth(
    canvas: Canvas,
    where: Indices,
    shape: tuple[Floats, Floats, Floats, Floats],
    gap: float,
) -> None:
    if gap < 0.01:
        return
    t, y, line, low_line = shape
    soft = canvas.soft
    opening = fade(-soft, soft, y - line) * fade(soft, -soft, y - low_line)
    opening *= fade(1.0, 0.9, np.abs(t))
    canvas.blend(where, opening, linear((0.25, 0.09, 0.09)))
    depth = (y - line) / 0.105
    bite = fade(1.02, 0.86, depth + 0.18 * np.abs(t)) * fade(0.92, 0.70, np.abs(t))
    tooth = canvas.x[where] / 0.082
    between = hill(np.abs(tooth - np.round(tooth - 0.5) - 0.5) - 0.5, 0.07)
    white = linear((0.95, 0.925, 0.885)) * (1 - 0.40 * np.abs(t) ** 1.5 - 0.10 * between)[:, None]
    shade = (0.70 + 0.30 * fade(0.0, 0.3, depth))[:, None]
    canvas.blend(where, opening * bite, (white * shade).astype(np.float32))
    canvas.gloss[where] += 0.15 * opening * bite
