"""Backgrounds and things that are not faces: studios, streets, shelves, banners, clutter."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from demo.arrays import Floats

Size = tuple[int, int]


def make_background(rng: np.random.Generator, size: Size, *, clutter: float = 0.2) -> Floats:
    """Return a random background (height, width, 3), sRGB in [0, 1], float32.

    ``clutter`` is the probability of sharp round and skin-coloured objects in it.
    """
    kinds = list(BACKGROUNDS.values())
    picture = kinds[int(rng.integers(len(kinds)))](rng, size)
    if rng.random() < clutter:
        picture = add_clutter(rng, picture)
    return np.clip(picture, 0, 1)


def _colour(rng: np.random.Generator, low: float = 0.1, high: float = 0.9) -> Floats:
    """Return a colour that is seldom shrill."""
    grey = rng.uniform(low, high)
    tint = rng.uniform(-0.16, 0.16, 3) * rng.random()
    return np.clip(grey + tint, 0.02, 0.98).astype(np.float32)


def _studio(rng: np.random.Generator, size: Size) -> Floats:
    height, width = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    cx, cy = rng.uniform(0.2, 0.8) * width, rng.uniform(0.1, 0.6) * height
    far = np.hypot(x - cx, y - cy) / (0.9 * max(size))
    light = np.clip(1 - far, 0, 1)[..., None]
    dark = _colour(rng, 0.1, 0.6)
    return np.asarray(dark + light * (_colour(rng, 0.45, 0.92) - dark))


def _bokeh(rng: np.random.Generator, size: Size) -> Floats:
    height, width = size
    picture = _studio(rng, size) * 0.5
    for _ in range(int(rng.integers(8, 26))):
        spot = np.zeros(size, dtype=np.uint8)
        radius = int(rng.uniform(0.02, 0.09) * width)
        at = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(spot, at, max(2, radius), 255, -1, cv2.LINE_AA)
        glow = _colour(rng, 0.5, 1.0) * np.array([1.0, 0.9, 0.7], dtype=np.float32)
        picture += (spot.astype(np.float32)[..., None] / 255) * glow * rng.uniform(0.1, 0.45)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), max(1.0, 0.008 * width)))


def _banner(rng: np.random.Generator, size: Size) -> Floats:
    """A wall with repeated marks, as behind a red carpet."""
    height, width = size
    picture = np.empty((height, width, 3), dtype=np.float32)
    picture[:] = _colour(rng, 0.2, 0.95)
    ink = _colour(rng)
    step = int(rng.uniform(0.14, 0.3) * width)
    mark = int(rng.integers(4))
    for row, y in enumerate(range(step // 3, height + step, step // 2 + 6)):
        for x in range((row % 2) * step // 2, width + step, step):
            _mark(picture, (x, y), int(step * 0.2), mark, ink)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 0.012 * width)))


def _mark(picture: Floats, at: tuple[int, int], size: int, kind: int, ink: Floats) -> None:
    colour = tuple(float(value) for value in ink)
    x, y = at
    if kind == 0:
        cv2.circle(picture, at, size, colour, -1)
    elif kind == 1:
        cv2.rectangle(picture, (x - size, y - size // 3), (x + size, y + size // 3), colour, -1)
    elif kind == 2:
        for dy in (-size // 2, 0, size // 2):
            cv2.line(picture, (x - size, y + dy), (x + size, y + dy), colour, max(1, size // 5))
    else:
        star = np.array([[x, y - size], [x + size, y], [x, y + size], [x - size, y]])
        cv2.fillPoly(picture, [star.astype(np.int32)], colour)


def _street(rng: np.random.Generator, size: Size) -> Floats:
    height, width = size
    picture = _studio(rng, size)
    for _ in range(int(rng.integers(5, 12))):
        x, w = int(rng.integers(-20, width)), int(rng.uniform(0.08, 0.35) * width)
        top = int(rng.uniform(-0.1, 0.6) * height)
        tone = _colour(rng, 0.15, 0.8)
        cv2.rectangle(picture, (x, top), (x + w, height), tuple(map(float, tone)), -1)
        for wy in range(top + 6, height, max(8, height // 14)):
            for wx in range(x + 4, x + w - 6, max(8, width // 18)):
                pane = tuple(float(v) for v in np.clip(tone * rng.uniform(0.6, 1.6), 0, 1))
                cv2.rectangle(picture, (wx, wy), (wx + width // 40, wy + height // 28), pane, -1)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.8, 0.02 * width)))


def _shelves(rng: np.random.Generator, size: Size) -> Floats:
    height, width = size
    picture = np.empty((height, width, 3), dtype=np.float32)
    picture[:] = _colour(rng, 0.2, 0.7)
    row = int(rng.uniform(0.16, 0.3) * height)
    for base in range(row, height + row, row):
        x = int(rng.integers(0, 10))
        while x < width:
            w, h = int(rng.uniform(0.015, 0.06) * width) + 2, int(rng.uniform(0.5, 0.95) * row)
            tone = tuple(float(v) for v in _colour(rng, 0.1, 0.9))
            cv2.rectangle(picture, (x, base - h), (x + w, base - 4), tone, -1)
            x += w + int(rng.integers(0, 6))
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.8, 0.02 * width)))


def _foliage(rng: np.random.Generator, size: Size) -> Floats:
    height, width = size
    picture = np.zeros((height, width, 3), dtype=np.float32)
    for level in (6, 14, 34):
        coarse = rng.random((level, level, 1)).astype(np.float32)
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    base = np.array([0.20, 0.30, 0.13], dtype=np.float32) * rng.uniform(0.7, 1.7)
    return np.clip(base * (0.3 + 0.5 * picture), 0, 1)


def _horizon(rng: np.random.Generator, size: Size) -> Floats:
    height, width = size
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    line = rng.uniform(0.35, 0.8)
    sky = np.array([0.55, 0.70, 0.88], dtype=np.float32) + 0.35 * y * np.array([1.0, 0.6, 0.2])
    ground = _colour(rng, 0.2, 0.7) * (1.1 - 0.5 * y)
    mix = np.clip((y - line) / 0.02, 0, 1)
    return np.repeat((sky * (1 - mix) + ground * mix).astype(np.float32), width, axis=1)


BACKGROUNDS: dict[str, Callable[[np.random.Generator, Size], Floats]] = {
    "studio": _studio,
    "bokeh": _bokeh,
    "banner": _banner,
    "street": _street,
    "shelves": _shelves,
    "foliage": _foliage,
    "horizon": _horizon,
}


def add_clutter(rng: np.random.Generator, picture: Floats) -> Floats:
    """Return the picture with sharp objects, many round, some skin-coloured, none a face."""
    height, width = picture.shape[:2]
    picture = picture.copy()
    for _ in range(int(rng.integers(2, 9))):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        reach = max(3, int(rng.uniform(0.02, 0.16) * width))
        skin = np.array([0.86, 0.64, 0.52]) * rng.uniform(0.3, 1.1)
        tone = tuple(float(v) for v in (skin if rng.random() < 0.45 else _colour(rng)))
        axes = (reach, max(2, int(reach * rng.uniform(0.4, 1.6))))
        angle = float(rng.uniform(0, 180))
        shape = int(rng.integers(4))
        if shape == 0:
            cv2.ellipse(picture, at, axes, angle, 0, 360, tone, -1, cv2.LINE_AA)
        elif shape == 1:
            cv2.rectangle(picture, at, (at[0] + axes[0], at[1] + axes[1]), tone, -1)
        elif shape == 2:
            end = (int(rng.integers(width)), int(rng.integers(height)))
            cv2.line(picture, at, end, tone, max(1, reach // 3), cv2.LINE_AA)
        else:
            _dotted_ball(picture, at, reach, tone)
    return picture


def _dotted_ball(picture: Floats, at: tuple[int, int], reach: int, tone: tuple[float, ...]) -> None:
    """A ball with a few dark dots: buttons, dice, plugs."""
    cv2.circle(picture, at, reach, tone, -1, cv2.LINE_AA)
    for dx, dy in ((-0.4, -0.3), (0.4, 0.3), (0.0, 0.0)):
        dot = (int(at[0] + dx * reach), int(at[1] + dy * reach))
        cv2.circle(picture, dot, max(1, reach // 6), (0.1, 0.1, 0.1), -1, cv2.LINE_AA)
