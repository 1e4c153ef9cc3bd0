"""The picture of the README: a contact sheet of rendered people, ``python -m demo.poster OUT``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from demo.arrays import Floats, Image
from demo.casting import make_person
from demo.clothes import Cut, Outfit
from demo.expression import Expression
from demo.figure import Shot, render_figure
from demo.light import Light
from demo.person import Colour, Person
from demo.photo import random_wear, shrunk
from demo.raster import Camera, Pose

TILE = 126
COLUMNS = 7
CAST = (
    0,
    2,
    4,
    7,
    5,
    6,
    15,
    9,
    11,
    13,
    10,
    19,
    18,
    14,
    33,
    17,
    20,
    22,
    27,
    23,
    24,
    26,
    38,
    31,
    34,
    29,
    35,
    32,
)
_ZOOM = 3
_WALLS: tuple[Colour, ...] = (
    (0.93, 0.87, 0.79),
    (0.78, 0.85, 0.86),
    (0.90, 0.80, 0.76),
    (0.82, 0.86, 0.78),
    (0.85, 0.82, 0.89),
)
_CLOTHES: tuple[Colour, ...] = (
    (0.20, 0.25, 0.36), (0.52, 0.23, 0.22), (0.24, 0.40, 0.36), (0.83, 0.66, 0.36),
    (0.32, 0.24, 0.38), (0.90, 0.88, 0.84), (0.14, 0.14, 0.16),
)  # fmt: skip
_KEY = Light(
    key=(-0.55, -0.6, 0.8),
    key_colour=(0.98, 0.93, 0.86),
    fill=(0.8, -0.1, 0.6),
    fill_colour=(0.22, 0.22, 0.25),
    sky_colour=(0.40, 0.40, 0.42),
    contrast=0.5,
    rim=0.25,
)


def make_poster(seeds: tuple[int, ...] = CAST) -> Image:
    """Return the sheet (rows × tile, columns × tile, 3) RGB, one person per tile."""
    tiles = [_tile(seed, place) for place, seed in enumerate(seeds)]
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    return np.asarray(np.round(np.vstack(rows) * 255), dtype=np.uint8)


def _tile(seed: int, place: int) -> Floats:
    """Return one person before a soft wall, display values in [0, 1]."""
    rng = np.random.default_rng((0x9057E4, seed))
    person = make_person(seed)
    side = TILE * _ZOOM
    camera = Camera(x=side * 0.5, y=side * 0.455, scale=side / 4.7, distance=10.0)
    layer = render_figure(person, _shot(rng, person, place), camera, _KEY, (side, side))
    small = shrunk(layer, (TILE, TILE), float(_ZOOM))
    wall = _wall(_WALLS[(place * 3 + place // COLUMNS) % len(_WALLS)])
    return np.clip(wall * (1 - small.alpha[..., None]) + small.rgb, 0, 1)


def _shot(rng: np.random.Generator, person: Person, place: int) -> Shot:
    pose = Pose(
        yaw=float(rng.normal(0, 0.2)),
        pitch=float(rng.normal(0.02, 0.05)),
        roll=float(rng.normal(0, 0.05)),
    )
    expression = Expression(
        smile=float(np.clip(rng.normal(0.55, 0.25), 0.05, 0.95)),
        open=float(max(0.0, rng.normal(-0.05, 0.12))),
        squint=0.08,
        brow=0.12,
        gaze=(-0.04 * pose.yaw, 0.0),
    )
    cuts = [Cut.CREW, Cut.VEE, Cut.SHIRT, Cut.ROLL]
    cuts += [Cut.GOWN] if person.feminine > 0.5 else [Cut.SUIT]
    outfit = Outfit(
        cut=cuts[int(rng.integers(len(cuts)))],
        colour=_CLOTHES[place % len(_CLOTHES)],
        second=_CLOTHES[(place + 3) % len(_CLOTHES)],
    )
    shown = replace(person, habits=replace(person.habits, shades=0.0))
    return Shot(pose=pose, expression=expression, outfit=outfit, wear=random_wear(rng, shown))


def _wall(colour: Colour) -> Floats:
    y, x = np.mgrid[0:TILE, 0:TILE] / TILE
    light = 1.06 - 0.24 * np.hypot(x - 0.35, y - 0.25)
    return np.asarray(light[..., None] * np.asarray(colour))


def write_poster(path: Path) -> None:
    """Write the sheet as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(make_poster()).save(path, optimize=True)


def main() -> None:
    """Write the poster."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    write_poster(parser.parse_args().out)


if __name__ == "__main__":
    main()
