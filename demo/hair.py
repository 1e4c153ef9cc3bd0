"""Hair as a shell around the skull: strands fall from the crown to an edge that the style defines.

Rows run from the crown (0) to the edge (1), columns once around the head from -180° to 180°.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from demo import noise
from demo.arrays import Floats
from demo.head import cross_section, crown_height, smoothstep
from demo.person import HairStyle, Person

ROWS, COLUMNS = 61, 145
AROUND = np.radians(np.linspace(-180, 180, COLUMNS)).astype(np.float32)
FALL = np.linspace(0, 1, ROWS).astype(np.float32)

_LONG_STYLES = (HairStyle.LONG, HairStyle.WAVES, HairStyle.BOB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """A hair shell: ``points`` (rows, columns, 3) before pose.

    ``rest_y`` (rows, columns) bends long hair with the neck. ``fields`` (rows, columns, 4) are
    interpolated per pixel: height above the edge, strand coordinates across and along (cells of
    the noise), and darkening towards the scalp in [0, 1].
    """

    points: Floats
    rest_y: Floats
    fields: Floats


def covers_ears(person: Person) -> bool:
    """Return whether the style hides the ears."""
    return person.hair.style in (*_LONG_STYLES, HairStyle.AFRO)


def make_shell(person: Person) -> Shell | None:
    """Return the hair of a person, ``None`` when bald."""
    if person.hair.style is HairStyle.BALD:
        return None
    top = crown_height(person)
    edge = _edge(person)
    fall = (1 - np.cos(FALL * np.pi / 2))[:, None].astype(np.float32)
    y = top + (edge[None] - top) * fall
    across, along = _strand_place(y, person)
    above = edge[None] - y
    return Shell(
        points=_placed(y, person),
        rest_y=y,
        fields=np.dstack([above, across, along, _roots(y, person)]).astype(np.float32),
    )


def _edge(person: Person) -> Floats:
    """Return the lower end of the hair at each azimuth."""
    degrees = np.degrees(AROUND)
    knots = dict(sorted(_edge_knots(person).items()))
    edge = PchipInterpolator(list(knots), list(knots.values()))(np.abs(degrees))
    if person.hair.style is HairStyle.FRINGE or _has_bangs(person):
        edge = np.maximum(edge, _fringe(degrees, person))
    jagged = noise.look_up(noise.curls(), AROUND * 45 + person.seed % 97, AROUND * 0)
    tidy = 0.018 if person.hair.style in (HairStyle.BUZZ, HairStyle.UPDO) else 0.035
    return np.asarray(edge + tidy * jagged, dtype=np.float32)


def _edge_knots(person: Person) -> dict[float, float]:
    """Return azimuth in degrees → height: hairline, temple, sideburn, ear, nape."""
    hair, style = person.hair, person.hair.style
    line = hair.hairline
    knots = {
        0.0: line + hair.peak, 24.0: line - 0.35 * hair.temples, 44.0: line + 0.12 - hair.temples,
        60.0: -0.60, 69.0: -0.12, 78.0: 0.20, 86.0: 0.10, 94.0: -0.22, 112.0: -0.12, 124.0: 0.7,
        180.0: 0.95,
    }  # fmt: skip
    if style is HairStyle.AFRO:
        knots |= {69.0: -0.2, 78.0: 0.15, 86.0: 0.35, 94.0: 0.5, 112.0: 0.75, 124.0: 0.9}
    if style is HairStyle.UPDO:
        knots |= {60.0: -0.50, 69.0: -0.25, 78.0: -0.05, 86.0: -0.1}
    if style in _LONG_STYLES:
        low = _drop(person)
        knots |= {52.0: -0.45, 60.0: 0.2, 69.0: 0.8 * low, 78.0: low, 86.0: low + 0.05}
        knots |= dict.fromkeys((94.0, 112.0, 124.0, 180.0), low + 0.1)
    return knots


def _drop(person: Person) -> float:
    """Return where long hair ends."""
    hair = person.hair
    if hair.style is HairStyle.BOB:
        return 0.85 + 0.55 * hair.length
    return 1.9 + 1.2 * hair.length


def _has_bangs(person: Person) -> bool:
    hair = person.hair
    return hair.style in _LONG_STYLES and hair.length > 0.72


def _fringe(degrees: Floats, person: Person) -> Floats:
    hair = person.hair
    low = -0.50 + 0.10 * hair.peak
    sweep = 0.16 * hair.parting * degrees / 45
    shape = low + sweep + 0.03 * np.sin(degrees / 5.0 + person.seed)
    return np.where(np.abs(degrees) < 50, shape, -9.0)


def _thickness(y: Floats, person: Person) -> Floats:
    hair, style = person.hair, person.hair.style
    base = {
        HairStyle.BUZZ: 0.035,
        HairStyle.CROP: 0.10,
        HairStyle.QUIFF: 0.09,
        HairStyle.FRINGE: 0.13,
        HairStyle.AFRO: 0.48,
        HairStyle.BOB: 0.19,
        HairStyle.LONG: 0.15,
        HairStyle.WAVES: 0.20,
        HairStyle.UPDO: 0.10,
    }[style] * hair.volume
    towards_edge = smoothstep(1.0, 0.72, FALL)[:, None]
    front = smoothstep(-0.1, 0.6, np.cos(AROUND))[None]
    keep = 0.75 if style in (HairStyle.AFRO, HairStyle.FRINGE) else 0.22
    if style in _LONG_STYLES:
        keep = 0.5
    taper = keep + (1 - keep) * towards_edge
    thick = base * (1 - front * (1 - taper))
    high = np.asarray(smoothstep(-0.55, -1.1, y), dtype=np.float32)
    if style is HairStyle.QUIFF:
        rise = 0.20 * hair.volume * np.exp(-(((FALL - 0.70) / 0.22) ** 2))[:, None] * front
        thick = thick + rise * high
    if style is HairStyle.CROP:
        thick = thick + 0.05 * hair.volume * high
    if style in _LONG_STYLES:
        thick = thick + 0.05 * high
    return np.asarray(thick, dtype=np.float32)


def _placed(y: Floats, person: Person) -> Floats:
    """Put the shell ``thickness`` outside the skull; below it, let hair hang."""
    style = person.hair.style
    hang = 0.15 if style in _LONG_STYLES else 0.9
    skull_y = np.minimum(y, hang)
    x, z = cross_section(skull_y, AROUND[None], person)
    up = np.clip((y + 0.35) / 1.27, -1, 0) * smoothstep(-0.35, -0.7, y)
    radius = np.sqrt(x * x + z * z + up * up) + 1e-6
    thick = _thickness(y, person) * (1 + _bumpy(y, person))
    if style in _LONG_STYLES:
        thick = thick + _hanging(y, person)
    out = thick / radius
    bun = _bun(person)
    return np.stack(
        [x * (1 + out), y + up * out - bun, z * (1 + out) - 0.25 * bun], axis=-1
    ).astype(np.float32)


def _bumpy(y: Floats, person: Person) -> Floats:
    """Return relative unevenness: locks for straight hair, waves and curls for the rest."""
    hair = person.hair
    shift = float(person.seed % 401)
    u = AROUND[None] * 30 + 0 * y
    locks = noise.look_up(noise.strands(), u * 1.3 + shift, y * 16)
    amount = 0.10
    if hair.style is HairStyle.AFRO or hair.curl > 0.6:
        locks = noise.look_up(noise.curls(), u * 1.6 + shift, y * 34)
        amount = 0.10 + 0.06 * hair.curl
    if hair.style is HairStyle.WAVES:
        amount = 0.22
        locks = locks + 1.1 * np.sin(7.5 * y + 3 * np.sin(3 * AROUND[None]) + shift)
    return np.asarray(amount * locks, dtype=np.float32)


def _hanging(y: Floats, person: Person) -> Floats:
    """Return the sideways swing of hair below the ears."""
    hair = person.hair
    below = np.clip(y - 0.15, 0, None)
    if hair.style is HairStyle.BOB:
        return np.asarray(0.10 * hair.volume * np.sin(np.clip(below, 0, 1.3) * 2.4) * below)
    wave = 0.05 * hair.curl * np.sin(5.5 * y + 2 * np.sin(2.5 * AROUND[None]) + person.seed)
    return np.asarray((-0.10 + 0.06 * hair.volume) * np.minimum(below, 1.2) + wave * below)


def _bun(person: Person) -> Floats:
    """Return how far the crown rises into a bun (zero for other styles)."""
    if person.hair.style is not HairStyle.UPDO or person.hair.length < 0.5:
        return np.zeros((ROWS, COLUMNS), dtype=np.float32)
    knob = 0.42 * person.hair.volume * smoothstep(0.28, 0.12, FALL)
    return np.repeat(knob[:, None], COLUMNS, axis=1).astype(np.float32)


def _strand_place(y: Floats, person: Person) -> tuple[Floats, Floats]:
    hair = person.hair
    shift = float(person.seed % 509)
    wave = 3.0 * hair.curl * np.sin(9 * y + 2 * np.sin(4 * AROUND[None]))
    across = AROUND[None] * 72 + wave + shift
    return across.astype(np.float32), np.asarray(y * (75 if _is_frizzy(person) else 26))


def _is_frizzy(person: Person) -> bool:
    hair = person.hair
    return hair.style in (HairStyle.AFRO, HairStyle.BUZZ) or hair.curl > 0.8


def strand_noise(across: Floats, along: Floats, person: Person) -> Floats:
    """Return the brightness of strands around 0 (any shape), within ±2."""
    field = noise.curls() if _is_frizzy(person) else noise.strands()
    return np.clip(noise.look_up(field, across, along), -2, 2)


def opacity(above: Floats, strand: Floats, person: Person) -> Floats:
    """Return opacity in [0, 1] from the height above the edge: whole inside, frayed at the edge."""
    style = person.hair.style
    fray = {HairStyle.BUZZ: 0.16, HairStyle.CROP: 0.10, HairStyle.FRINGE: 0.09}.get(style, 0.05)
    if style in _LONG_STYLES:
        fray = 0.12
    densest = 0.86 if style is HairStyle.BUZZ else 1.0
    return np.asarray(densest * np.clip((above + 0.45 * fray * strand) / fray, 0, 1))


def _roots(y: Floats, person: Person) -> Floats:
    """Return darkening: near the parting, and inside hair that hangs beside the neck."""
    hair = person.hair
    part = np.radians(35.0) * hair.parting
    front = np.cos(AROUND) > 0.2
    line = np.exp(-(((AROUND - part) / 0.05) ** 2)) * front
    parted = 0.5 * line[None] * smoothstep(0.15, 0.45, FALL)[:, None]
    if hair.style in (HairStyle.AFRO, HairStyle.BUZZ, HairStyle.QUIFF):
        parted = parted * 0
    hang = 0.45 * smoothstep(0.2, 1.6, y) if hair.style in _LONG_STYLES else 0 * y
    return np.asarray(np.clip(parted + hang * 0.6, 0, 1), dtype=np.float32)
