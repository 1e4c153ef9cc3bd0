"""Who there is: people and their siblings, drawn as pure functions of a seed."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from demo.person import (
    BeardStyle,
    Brows,
    Eyes,
    Habits,
    Hair,
    HairStyle,
    Mouth,
    Nose,
    Person,
    Skin,
    Skull,
)


class _Draw:
    """Random draws with short names, so that the tables below stay readable."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng((0xFACE, seed))

    def around(self, mean: float, spread: float, reach: float = 2.2) -> float:
        """A normal draw, cut at ``reach`` spreads so that nobody becomes a caricature."""
        return float(mean + spread * np.clip(self._rng.normal(), -reach, reach))

    def between(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))

    def pick(self, weights: dict[Any, float]) -> Any:
        shares = np.array(list(weights.values()))
        index = self._rng.choice(len(shares), p=shares / shares.sum())
        return list(weights)[int(index)]


def make_person(seed: int, person_id: str | None = None) -> Person:
    """Return the person that ``seed`` stands for; ``person_id`` defaults to ``p<seed>``."""
    draw = _Draw(seed)
    woman = draw.between(0, 1) < 0.5
    feminine = draw.between(0.72, 1.0) if woman else draw.between(0.0, 0.25)
    age = 20 + 48 * draw.between(0, 1) ** 1.7
    melanin = draw.between(0.02, 0.98) ** 1.15
    return Person(
        person_id=person_id or f"p{seed:05d}",
        seed=seed,
        age=age,
        feminine=feminine,
        skull=_skull(draw, feminine, age),
        eyes=_eyes(draw, feminine, melanin),
        brows=_brows(draw, feminine),
        nose=_nose(draw, feminine, melanin),
        mouth=_mouth(draw, feminine, melanin),
        skin=_skin(draw, melanin),
        hair=_hair(draw, woman, melanin, age),
        habits=_habits(draw, woman, melanin),
    )


def make_sibling(person: Person, seed: int, person_id: str, *, unlike: float = 0.35) -> Person:
    """Return a look-alike: every number moved a share ``unlike`` towards another person's.

    Colours, hair style and habits stay, as they do between siblings who shared a wardrobe.
    """
    other = make_person(seed)
    mixed = {
        part: _blend(getattr(person, part), getattr(other, part), unlike)
        for part in ("skull", "eyes", "brows", "nose", "mouth")
    }
    age = person.age + float(np.clip(other.age - person.age, -4, 4))
    moles = replace(person.skin, moles=other.skin.moles)
    return replace(person, person_id=person_id, seed=seed, age=age, skin=moles, **mixed)


def person_of(person_id: str) -> Person:
    """Return the person behind an id: ``p<seed>``, or ``p<seed>s<seed>`` for a sibling."""
    elder, _, younger = person_id.removeprefix("p").partition("s")
    person = make_person(int(elder), f"p{elder}")
    return make_sibling(person, int(younger), person_id) if younger else person


def _blend(a: Any, b: Any, share: float) -> Any:
    """Mix the numbers of two equal dataclasses; anything else is taken from ``a``."""
    if not is_dataclass(a) or isinstance(a, type):
        return a
    mixed = {
        field.name: (1 - share) * getattr(a, field.name) + share * getattr(b, field.name)
        for field in fields(a)
        if isinstance(getattr(a, field.name), float)
    }
    return replace(a, **mixed)


def _skull(draw: _Draw, feminine: float, age: float) -> Skull:
    return Skull(
        width=draw.around(1.0 - 0.01 * feminine, 0.036),
        crown=draw.around(1.0, 0.035),
        jaw_width=draw.around(0.845 - 0.055 * feminine, 0.05),
        jaw_angle=draw.around(1.05 - 0.06 * feminine, 0.09),
        chin_length=draw.around(1.55 - 0.06 * feminine, 0.07),
        chin_width=draw.around(0.21 - 0.06 * feminine, 0.06),
        chin_depth=draw.around(0.0, 0.04),
        cheekbone=draw.around(0.05 + 0.015 * feminine, 0.025),
        cheek=draw.around(0.0, 0.035) - 0.0008 * (age - 35),
        temple=draw.around(-0.02, 0.02),
        forehead=draw.around(0.0, 0.04),
        brow_ridge=draw.around(0.07 - 0.05 * feminine, 0.018),
        neck=draw.around(0.64 - 0.11 * feminine, 0.035),
        ear_size=draw.around(1.0, 0.09),
        ear_out=draw.around(0.12, 0.035),
    )


def _eyes(draw: _Draw, feminine: float, melanin: float) -> Eyes:
    brown = {"hazel": 0.25 * (1 - melanin), "brown": 1.0, "dark": 0.35 + 1.2 * melanin}
    light = 0.0 if melanin > 0.55 else (0.55 - melanin) * 2.2
    kind = draw.pick({**brown, "blue": light, "green": 0.6 * light, "grey": 0.4 * light})
    base = {
        "blue": (0.36, 0.54, 0.70),
        "green": (0.40, 0.52, 0.34),
        "grey": (0.48, 0.54, 0.58),
        "hazel": (0.47, 0.36, 0.18),
        "brown": (0.34, 0.20, 0.10),
        "dark": (0.19, 0.11, 0.07),
    }[kind]
    tint = draw.around(1.0, 0.12)
    return Eyes(
        spacing=draw.around(0.455, 0.024),
        half_width=draw.around(0.232 + 0.012 * feminine, 0.014),
        openness=draw.around(0.92 + 0.12 * feminine, 0.12),
        tilt=draw.around(-0.05 - 0.03 * feminine, 0.06),
        depth=draw.around(0.13 - 0.02 * feminine, 0.03),
        crease=draw.between(0.0, 1.0),
        bag=draw.between(0.0, 1.0),
        iris=(base[0] * tint, base[1] * tint, base[2] * tint),
        lash=draw.between(0.3, 0.7) + 0.4 * feminine,
    )


def _brows(draw: _Draw, feminine: float) -> Brows:
    return Brows(
        y=draw.around(-0.30 - 0.035 * feminine, 0.03),
        thickness=draw.around(0.062 - 0.020 * feminine, 0.011),
        arch=draw.around(0.045 + 0.030 * feminine, 0.026),
        half_length=draw.around(0.285, 0.024),
        tilt=draw.around(0.035, 0.045),
        density=draw.between(0.55, 1.0),
    )


def _nose(draw: _Draw, feminine: float, melanin: float) -> Nose:
    return Nose(
        base=draw.around(0.695 - 0.03 * feminine, 0.04),
        width=draw.around(0.195 - 0.018 * feminine + 0.035 * melanin, 0.022),
        bridge=draw.around(0.15 - 0.03 * feminine - 0.04 * melanin, 0.032),
        tip=draw.around(0.335 - 0.03 * feminine - 0.02 * melanin, 0.04),
        tip_size=draw.around(0.125, 0.018),
        hump=draw.around(0.0, 0.018),
        nostril=draw.around(1.0, 0.14),
    )


def _mouth(draw: _Draw, feminine: float, melanin: float) -> Mouth:
    full = 1.0 + 0.18 * feminine + 0.35 * melanin
    return Mouth(
        y=draw.around(0.995 - 0.03 * feminine, 0.035),
        half_width=draw.around(0.365 - 0.01 * feminine, 0.03),
        upper=draw.around(0.066 * full, 0.015),
        lower=draw.around(0.092 * full, 0.017),
        bow=draw.between(0.1, 1.0),
        corner=draw.around(-0.005, 0.015),
        mound=draw.around(0.08 + 0.03 * melanin, 0.02),
        rose=draw.between(0.3, 1.0),
    )


def _skin(draw: _Draw, melanin: float) -> Skin:
    spots = int(draw.pick({0: 0.45, 1: 0.3, 2: 0.17, 3: 0.08}))
    moles = tuple(
        (draw.between(-0.7, 0.7), draw.between(0.1, 1.4), draw.between(0.016, 0.03))
        for _ in range(spots)
    )
    freckled = draw.between(0, 1) < 0.22 * (1.2 - melanin)
    return Skin(
        melanin=melanin,
        red=draw.around(0.0, 1.0),
        yellow=draw.around(0.0, 1.0),
        freckles=draw.between(0.35, 1.0) if freckled else 0.0,
        uneven=draw.between(0.2, 1.0),
        moles=moles,
    )


def _hair(draw: _Draw, woman: bool, melanin: float, age: float) -> Hair:
    fair = max(0.0, 0.5 - melanin)
    shade = draw.pick(
        {"black": 0.25 + 2.0 * melanin, "brown": 0.9 - 0.5 * melanin, "chestnut": 0.6 * fair + 0.04,
         "blond": 1.5 * fair, "red": 0.5 * fair}
    )  # fmt: skip
    base = {
        "black": (0.085, 0.07, 0.065),
        "brown": (0.23, 0.15, 0.10),
        "chestnut": (0.37, 0.22, 0.13),
        "blond": (0.68, 0.53, 0.33),
        "red": (0.53, 0.24, 0.11),
    }[shade]
    tint = draw.around(1.0, 0.14)
    receding = 0.0 if woman else max(0.0, draw.between(-0.8, 0.7) + 0.012 * (age - 35))
    return Hair(
        style=draw.pick(_style_weights(woman, melanin, age)),
        colour=(base[0] * tint, base[1] * tint, base[2] * tint),
        volume=draw.around(1.0, 0.22),
        length=draw.between(0.0, 1.0),
        hairline=draw.around(-0.93 - 0.16 * receding, 0.05),
        peak=draw.around(0.0, 0.05),
        temples=draw.around(0.08, 0.05) + 0.25 * receding,
        parting=draw.around(0.0, 0.45),
        curl=min(1.0, max(0.0, draw.around(0.15 + 0.55 * melanin, 0.25))),
        greying=draw.around(63, 8),
        ends=draw.between(0.0, 1.0),
    )


def _style_weights(woman: bool, melanin: float, age: float) -> dict[HairStyle, float]:
    if woman:
        return {
            HairStyle.LONG: 1.0,
            HairStyle.WAVES: 0.9,
            HairStyle.BOB: 0.9,
            HairStyle.UPDO: 0.7,
            HairStyle.FRINGE: 0.35,
            HairStyle.AFRO: 0.15 + 0.7 * melanin,
            HairStyle.CROP: 0.2,
        }
    return {
        HairStyle.CROP: 1.0,
        HairStyle.QUIFF: 0.9,
        HairStyle.BUZZ: 0.35 + 0.5 * melanin,
        HairStyle.FRINGE: 0.35,
        HairStyle.BALD: 0.12 + 0.006 * max(0.0, age - 30),
        HairStyle.AFRO: 0.05 + 0.35 * melanin,
        HairStyle.WAVES: 0.15,
        HairStyle.LONG: 0.1,
    }


def _habits(draw: _Draw, woman: bool, melanin: float) -> Habits:
    beard = BeardStyle.NONE if woman else draw.pick(
        {BeardStyle.NONE: 1.0, BeardStyle.STUBBLE: 0.7, BeardStyle.FULL: 0.5,
         BeardStyle.GOATEE: 0.25, BeardStyle.MOUSTACHE: 0.15}
    )  # fmt: skip
    deep = draw.between(0.0, 1.0)
    lipstick = (0.72 - 0.2 * deep - 0.12 * melanin, 0.30 - 0.16 * deep, 0.33 - 0.12 * deep)
    wears_glasses = draw.between(0, 1) < 0.18
    return Habits(
        beard=beard,
        beard_density=draw.between(0.55, 1.0),
        glasses=draw.between(0.6, 0.95) if wears_glasses else 0.04,
        frame=draw.between(0.0, 1.0),
        shades=draw.between(0.0, 0.08),
        makeup=draw.between(0.15, 1.0) if woman else 0.0,
        lipstick=lipstick,
        earrings=draw.between(0.0, 1.0) if woman else 0.0,
        smile=draw.between(0.1, 0.9),
    )
