"""Skin: tone, blush, freckles, moles, wrinkles, and the shades that make a face read as one."""

from __future__ import annotations

import numpy as np

from demo import noise
from demo.arrays import Floats
from demo.expression import Expression, lips
from demo.head import jaw_line
from demo.paint import Canvas, fade, hill, linear
from demo.person import BeardStyle, Person

_TONES = np.array(
    [
        (241, 206, 186), (233, 191, 165), (220, 170, 138), (200, 147, 111),
        (170, 118, 84), (136, 91, 64), (102, 67, 48), (77, 50, 38),
    ]
) / 255  # fmt: skip


def skin_tone(person: Person) -> Floats:
    """Return the linear base colour of a person's skin (3,)."""
    place = np.clip(person.skin.melanin, 0, 1) * (len(_TONES) - 1)
    steps = np.arange(len(_TONES))
    tone = np.array([np.interp(place, steps, _TONES[:, channel]) for channel in range(3)])
    tone *= 1 + 0.018 * np.array([person.skin.red, -0.3 * person.skin.red, 0])
    tone *= 1 + 0.022 * np.array([0.2, 0, -person.skin.yellow])
    return linear((float(tone[0]), float(tone[1]), float(tone[2])))


def paint_skin(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Paint bare skin over the whole canvas."""
    canvas.rgb[:] = skin_tone(person)
    _unevenness(canvas, person)
    _blush(canvas, person)
    _freckles(canvas, person)
    _moles(canvas, person)
    _wrinkles(canvas, person, expression)
    _folds(canvas, person)


def _unevenness(canvas: Canvas, person: Person) -> None:
    offset = float(person.seed % 997)
    clouds = noise.look_up(noise.cloud(), canvas.x * 60 + offset, canvas.y * 60 + 3 * offset)
    pores = noise.look_up(noise.grain(), canvas.x * 150 + offset, canvas.y * 150)
    strength = 0.020 + 0.025 * person.skin.uneven + 0.0004 * max(person.age - 40, 0)
    shift = np.clip(strength * clouds, -0.12, 0.12)
    canvas.rgb *= 1 + shift[:, None] * np.array([0.7, 1.0, 1.1], dtype=np.float32)
    canvas.rgb *= (1 + 0.018 * pores)[:, None]


def _blush(canvas: Canvas, person: Person) -> None:
    where = canvas.inside(-1.1, 1.1, -0.2, 1.75)
    x, y = np.abs(canvas.x[where]), canvas.y[where]
    made_up = person.habits.makeup
    cheek = hill(x - 0.56, 0.24) * hill(y - 0.52, 0.20)
    nose = hill(x, 0.20) * hill(y - person.nose.base + 0.09, 0.14)
    chin = hill(x, 0.2) * hill(y - person.skull.chin_length + 0.14, 0.14)
    pale = 1 - 0.65 * person.skin.melanin
    mask = (0.20 + 0.25 * made_up) * cheek + 0.16 * nose + 0.10 * chin
    canvas.darken(where, np.clip(mask * pale * (1 + 0.25 * person.skin.red), 0, 1),
                  (0.98, 0.66, 0.62))  # fmt: skip


def _freckles(canvas: Canvas, person: Person) -> None:
    if person.skin.freckles <= 0:
        return
    where = canvas.inside(-0.95, 0.95, -0.3, 1.1)
    x, y = canvas.x[where], canvas.y[where]
    offset = float((person.seed * 7) % 911)
    spots = noise.look_up(noise.grain(), x * 62 + offset, y * 62 - offset)
    area = hill(np.abs(x) - 0.34, 0.36) * hill(y - 0.40, 0.30)
    mask = person.skin.freckles * area * fade(1.05, 1.7, spots)
    canvas.darken(where, 0.75 * mask, (0.72, 0.48, 0.36))


def _moles(canvas: Canvas, person: Person) -> None:
    for x, y, radius in person.skin.moles:
        where = canvas.inside(x - 0.1, x + 0.1, y - 0.1, y + 0.1)
        distance = np.hypot(canvas.x[where] - x, canvas.y[where] - y)
        mask = fade(radius + canvas.soft, radius - 0.5 * canvas.soft, distance)
        canvas.darken(where, 0.8 * mask, (0.36, 0.22, 0.17))


def _wrinkles(canvas: Canvas, person: Person, expression: Expression) -> None:
    old = float(np.clip((person.age - 34) / 34, 0, 1))
    where = canvas.inside(-1.0, 1.0, -0.95, 1.3)
    x, y = np.abs(canvas.x[where]), canvas.y[where]
    waver = 0.012 * noise.look_up(noise.cloud(), canvas.x[where] * 25 + person.seed % 50, y * 4)
    mask = np.zeros_like(x)
    raised = old * (0.30 + 0.5 * max(expression.brow, 0.0))
    for height in (-0.52, -0.64, -0.77):
        line = hill(y - height - waver - 0.05 * x, 0.016)
        mask += raised * line * hill(x, 0.5)
    happy = max(expression.smile, 0.0)
    outer = person.eyes.spacing + person.eyes.half_width + 0.05
    for slope in (-0.35, 0.0, 0.35):
        line = hill(y - 0.01 - slope * (x - outer + 0.05) - waver, 0.012)
        mask += (0.08 * happy + old * (0.18 + 0.35 * happy)) * line * hill(x - outer - 0.07, 0.075)
    canvas.darken(where, np.clip(mask, 0, 0.8), (0.66, 0.50, 0.44))
    _nasolabial(canvas, person, happy, old)


def _nasolabial(canvas: Canvas, person: Person, happy: float, old: float) -> None:
    wide = person.nose.width + 0.05
    where = canvas.inside(-0.85, 0.85, 0.5, 1.35)
    x, y = np.abs(canvas.x[where]), canvas.y[where]
    t = np.clip((y - person.nose.base + 0.08) / 0.45, 0, 1.2)
    line = hill(x - wide - (0.20 + 0.06 * happy) * t**1.2, 0.026 + 0.012 * t)
    ends = fade(person.nose.base - 0.14, person.nose.base, y) * fade(
        person.mouth.y + 0.12, person.mouth.y - 0.08, y
    )
    mask = (0.05 + 0.22 * happy + 0.30 * old) * line * ends
    canvas.darken(where, np.clip(mask, 0, 0.6), (0.62, 0.44, 0.40))


def _folds(canvas: Canvas, person: Person) -> None:
    """Darken under the eyes, beside the nose, under the nose and lip, and under the jaw."""
    where = canvas.inside(-1.1, 1.1, -0.4, 1.7)
    x, y = np.abs(canvas.x[where]), canvas.y[where]
    eyes, nose, mouth = person.eyes, person.nose, person.mouth
    bag = 0.10 + 0.20 * eyes.bag * (0.4 + 0.02 * max(person.age - 25, 0))
    mask = bag * hill(x - eyes.spacing + 0.03, 0.19) * hill(y - 0.17, 0.07)
    mask += 0.22 * hill(x - eyes.spacing + 0.25, 0.10) * hill(y + 0.05, 0.12)
    mask += 0.20 * hill(x, 0.16) * hill(y - nose.base - 0.05, 0.05)
    mask += 0.16 * hill(x, 0.22) * hill(y - mouth.y - mouth.lower - 0.085, 0.05)
    canvas.darken(where, np.clip(mask, 0, 0.7), (0.60, 0.44, 0.42))
    below = np.flatnonzero(canvas.y > 0.9)
    azimuth = np.arctan2(canvas.x[below], np.maximum(canvas.z[below] + 0.1, 0.05))
    depth = canvas.y[below] - jaw_line(azimuth, person)
    canvas.darken(below, 0.42 * fade(0.0, 0.16, depth) * fade(1.0, 0.25, depth), (0.55, 0.42, 0.38))


def paint_nose(canvas: Canvas, person: Person) -> None:
    """Paint nostrils and the crease around the wings."""
    nose = person.nose
    where = canvas.inside(-0.45, 0.45, nose.base - 0.35, nose.base + 0.2)
    x, y = np.abs(canvas.x[where]), canvas.y[where]
    u, v = x - nose.width * 0.56, y - nose.base - 0.002 + 0.12 * (x - nose.width * 0.56)
    hole = np.hypot(u / (0.060 * nose.nostril), v / 0.026)
    canvas.darken(where, 0.78 * fade(1.35, 0.45, hole), (0.24, 0.13, 0.12))
    ring = np.hypot((x - nose.width * 0.86) / 1.0, (y - nose.base + 0.085) / 1.05)
    outer = fade(nose.width * 0.80, nose.width * 1.05, x)
    crease = hill(ring - 0.105, 0.028) * outer
    canvas.darken(where, 0.38 * crease, (0.55, 0.38, 0.34))


def paint_beard(canvas: Canvas, person: Person, expression: Expression) -> None:
    """Paint the beard, or the shadow of a shaved one."""
    style = person.habits.beard
    if person.feminine > 0.5:
        return
    where = canvas.inside(-1.2, 1.2, person.nose.base - 0.3, 2.0)
    x, y = np.abs(canvas.x[where]), canvas.y[where]
    azimuth = np.arctan2(canvas.x[where], np.maximum(canvas.z[where] + 0.1, 0.05))
    area = _beard_area(x, y, person, expression, jaw_line(azimuth, person))
    offset = float(person.seed % 313)
    hairs = noise.look_up(noise.curls(), canvas.x[where] * 210 + offset, y * 95)
    thick = {BeardStyle.NONE: 0.12, BeardStyle.STUBBLE: 0.42}.get(
        style, 0.80 + 0.18 * person.habits.beard_density
    )
    texture = np.clip(0.93 + 0.10 * hairs, 0.4, 1.0)
    colour = hair_colour(person) * (0.95 + 0.25 * np.clip(hairs, -1.5, 1.5))[:, None]
    if style in (BeardStyle.NONE, BeardStyle.STUBBLE):
        colour = 0.5 * colour + 0.5 * skin_tone(person) * np.array([0.42, 0.40, 0.42])
    canvas.blend(where, np.clip(thick * area * texture, 0, 1), colour.astype(np.float32))
    canvas.gloss[where] *= 1 - 0.7 * area * thick


def _beard_area(
    x: Floats, y: Floats, person: Person, expression: Expression, jaw: Floats
) -> Floats:
    mouth = lips(person, expression)
    style = person.habits.beard
    wide = mouth.half_width
    upper = mouth.y - mouth.upper
    moustache = (
        fade(wide + 0.16, wide + 0.02, x)
        * fade(
            person.nose.base + 0.015, person.nose.base + 0.06, y + 0.10 * fade(0.1, 0.4, x) - 0.02
        )
        * fade(upper + 0.06, upper + 0.005, y - 0.12 * x)
    )
    below_lip = mouth.y + mouth.gap + mouth.lower
    chin = fade(wide + 0.05, wide - 0.08, x) * fade(below_lip + 0.03, below_lip + 0.13, y)
    beside = hill(x - wide - 0.06, 0.06) * fade(upper - 0.02, upper + 0.1, y)
    cheek_line = 0.62 + 0.50 * fade(0.95, 0.35, x) - 0.45 * fade(0.72, 0.96, x)
    cheeks = fade(cheek_line - 0.05, cheek_line + 0.12, y) * fade(wide - 0.02, wide + 0.14, x)
    under = fade(jaw + 0.42, jaw + 0.12, y)
    if style is BeardStyle.MOUSTACHE:
        return moustache
    if style is BeardStyle.GOATEE:
        around = np.maximum.reduce([moustache, chin, beside * fade(1.8, 1.4, y)])
        return np.asarray(around * under)
    lower = fade(below_lip + 0.02, below_lip + 0.12, y - 0.25 * np.minimum(x, wide))
    return np.asarray(np.maximum.reduce([moustache, lower, beside, cheeks]) * under)


def hair_colour(person: Person) -> Floats:
    """Return the linear hair colour (3,), greyer with age."""
    grey = 1 / (1 + np.exp(-(person.age - person.hair.greying) / 4.5))
    own = linear(person.hair.colour)
    silver = linear((0.66, 0.65, 0.65))
    return np.asarray(own * (1 - grey) + silver * grey, dtype=np.float32)
