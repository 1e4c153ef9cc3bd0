"""A rendered person: about seventy numbers, drawn in :mod:`demo.casting`.

Lengths are in head units: the cheek half-width is about 1, the eye line is ``y = 0``, ``y`` points
down and ``z`` towards the viewer. Colours are sRGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Colour = tuple[float, float, float]


class HairStyle(StrEnum):
    """How the hair is cut."""

    BALD = "bald"
    BUZZ = "buzz"
    CROP = "crop"
    QUIFF = "quiff"
    FRINGE = "fringe"
    AFRO = "afro"
    BOB = "bob"
    LONG = "long"
    WAVES = "waves"
    UPDO = "updo"


class BeardStyle(StrEnum):
    """Which part of the lower face carries a beard."""

    NONE = "none"
    STUBBLE = "stubble"
    MOUSTACHE = "moustache"
    GOATEE = "goatee"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skull:
    """Bones and soft parts; factors around 1 or offsets around 0."""

    width: float
    crown: float
    jaw_width: float
    jaw_angle: float
    chin_length: float
    chin_width: float
    chin_depth: float
    cheekbone: float
    cheek: float
    temple: float
    forehead: float
    brow_ridge: float
    neck: float
    ear_size: float
    ear_out: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """Eyes; ``spacing`` is the half distance between their centres, ``half_width`` of one eye."""

    spacing: float
    half_width: float
    openness: float
    tilt: float
    depth: float
    crease: float
    bag: float
    iris: Colour
    lash: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Brows:
    """Eyebrows; ``y`` is their height (negative is above the eyes)."""

    y: float
    thickness: float
    arch: float
    half_length: float
    tilt: float
    density: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Nose:
    """Nose; ``base`` is the ``y`` of its lower end."""

    base: float
    width: float
    bridge: float
    tip: float
    tip_size: float
    hump: float
    nostril: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mouth:
    """Lips; ``y`` is the line between them, ``upper`` and ``lower`` their heights."""

    y: float
    half_width: float
    upper: float
    lower: float
    bow: float
    corner: float
    mound: float
    rose: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Skin:
    """Skin; ``melanin`` runs from 0 (palest) to 1 (darkest)."""

    melanin: float
    red: float
    yellow: float
    freckles: float
    uneven: float
    moles: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hair:
    """Hair on the head; ``greying`` is the age in years at which half of it is grey."""

    style: HairStyle
    colour: Colour
    volume: float
    length: float
    hairline: float
    peak: float
    temples: float
    parting: float
    curl: float
    greying: float
    ends: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What a person tends to wear and do; probabilities in [0, 1] unless a colour."""

    beard: BeardStyle
    beard_density: float
    glasses: float
    frame: float
    shades: float
    makeup: float
    lipstick: Colour
    earrings: float
    smile: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person; ``age`` in years, ``feminine`` in [0, 1]."""

    person_id: str
    seed: int
    age: float
    feminine: float
    skull: Skull
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    skin: Skin
    hair: Hair
    habits: Habits
