"""The rendered training data on disk, and pictures composed from it.

The files are described in the renderer's ``packdata`` module: cut-outs of people (``layers``),
scenes without people (``backgrounds``) and finished photos (``scenes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

SIDE = 256  # of composed pictures; the detector is convolutional and runs at any size
CROP = 112
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366],
     [41.5493, 92.3655], [70.7299, 92.2041]], dtype=np.float32,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Renders:
    """The arrays of one data folder, memory-mapped.

    ``layers`` (n, h, w, 4) RGBA, ``marks`` (n, 14) box and landmarks, ``labels`` (n,);
    ``backgrounds`` (m, 320, 320, 3); ``scenes`` (k, 320, 320, 3), ``boxes`` (k, 6, 15).
    """

    layers: Image
    marks: Floats
    labels: npt.NDArray[np.int64]
    backgrounds: Image
    scenes: Image
    boxes: Floats


def open_renders(folder: Path) -> Renders:
    """Open a folder that the renderer wrote."""
    names = ("layers", "marks", "labels", "backgrounds", "scenes", "boxes")
    arrays: dict[str, Any] = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names
    }
    return Renders(**arrays)


def similarity(source: Floats, target: Floats) -> Floats:
    """Return the 2x3 least-squares similarity from points to points, both (k, 2)."""
    source, target = source.astype(np.float64), target.astype(np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a, b = source - source_mean, target - target_mean
    size = (a * a).sum()
    cosine = (a * b).sum() / size
    sine = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / size
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def compose_face(renders: Renders, index: int, rng: np.random.Generator, jitter: float) -> Image:
    """Return one aligned face (112, 112, 3) RGB on a random background.

    ``jitter`` is the standard deviation of the landmark error that alignment must bear, in pixels
    of the crop.
    """
    marks = renders.marks[index, 4:].reshape(5, 2)
    wrong = TEMPLATE + rng.normal(0, jitter, (5, 2)) + rng.normal(0, 0.5 * jitter, 2)
    matrix = similarity(marks, wrong)
    cut = cv2.warpAffine(np.asarray(renders.layers[index]), matrix, (CROP, CROP))
    behind = _background(renders, CROP, rng)
    face = _over(behind, cut)
    if rng.random() < 0.5:
        face = face[:, ::-1]
    return photographed(np.ascontiguousarray(face), rng)


def _background(renders: Renders, side: int, rng: np.random.Generator) -> Image:
    """Return a square part of a random background."""
    picture = renders.backgrounds[int(rng.integers(len(renders.backgrounds)))]
    y, x = (int(value) for value in rng.integers(0, len(picture) - side + 1, 2))
    return np.asarray(picture[y : y + side, x : x + side])


def _over(behind: Image, cut: Image) -> Image:
    alpha = cut[..., 3:].astype(np.uint16)
    mixed = cut[..., :3] * alpha + behind * (255 - alpha)
    return np.asarray(mixed // 255, dtype=np.uint8)


def compose_scene(renders: Renders, rng: np.random.Generator) -> tuple[Image, Floats]:
    """Return a picture (320, 320, 3) RGB and its faces (k, 14): box and landmarks in pixels."""
    if rng.random() < 0.30:
        picture, faces = _moved_scene(renders, rng)
    else:
        picture, faces = _pasted_scene(renders, rng)
    if rng.random() < 0.5:
        picture, faces = np.ascontiguousarray(picture[:, ::-1]), _mirrored(faces)
    return photographed(picture, rng), _visible(faces)


def _moved_scene(renders: Renders, rng: np.random.Generator) -> tuple[Image, Floats]:
    """Shift, turn and zoom a finished photo."""
    index = int(rng.integers(len(renders.scenes)))
    rows = renders.boxes[index]
    zoom = float(np.exp(rng.uniform(-0.4, 0.4)))
    turn = rng.normal(0, 0.07)
    linear = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    anchor = rng.uniform(0.1, 0.9, 2) * renders.scenes.shape[1]
    matrix = np.column_stack([linear, rng.uniform(0.1, 0.9, 2) * SIDE - linear @ anchor])
    fill = tuple(int(v) for v in rng.integers(0, 255, 3)) if rng.random() < 0.5 else (0, 0, 0)
    picture = cv2.warpAffine(np.asarray(renders.scenes[index]), matrix, (SIDE, SIDE),
                             borderValue=fill)  # fmt: skip
    return np.asarray(picture, dtype=np.uint8), _moved(rows[rows[:, 14] > 0, :14], matrix)


def _moved(faces: Floats, matrix: Floats) -> Floats:
    if len(faces) == 0:
        return np.zeros((0, 14), dtype=np.float32)
    x1, y1, x2, y2 = faces[:, :4].T
    corners = np.stack([x1, y1, x2, y1, x2, y2, x1, y2, *faces[:, 4:].T], axis=1)
    points = corners.reshape(len(faces), 9, 2) @ matrix[:, :2].T + matrix[:, 2]
    # Turns are small: the mean of two corners on each side keeps the box as tight as it was.
    left, top = points[:, [0, 3], 0].mean(axis=1), points[:, [0, 1], 1].mean(axis=1)
    right, bottom = points[:, [1, 2], 0].mean(axis=1), points[:, [2, 3], 1].mean(axis=1)
    box = np.stack([left, top, right, bottom], axis=1)
    return np.concatenate([box, points[:, 4:].reshape(len(faces), 10)], axis=1).astype(np.float32)


def _pasted_scene(renders: Renders, rng: np.random.Generator) -> tuple[Image, Floats]:
    """Paste people into a background, small ones first."""
    picture = np.array(_background(renders, SIDE, rng))
    if rng.random() < 0.35:
        _blank_margin(picture, rng)
    count = int(rng.choice([0, 1, 2, 3, 4, 6], p=[0.08, 0.36, 0.24, 0.16, 0.10, 0.06]))
    widest = 205 if count <= 1 else 260 / count
    widths = np.sort(np.exp(rng.uniform(np.log(22), np.log(widest), count)))
    faces: list[Floats] = []
    for width in widths:
        face = _paste(picture, renders, float(width), rng)
        faces = [old for old in faces if _overlap(old, face) < 0.25]
        faces.append(face)
    kept = np.array(faces, dtype=np.float32) if faces else np.zeros((0, 14), dtype=np.float32)
    return picture, kept


def _blank_margin(picture: Image, rng: np.random.Generator) -> None:
    """Blank the right or the lower part, as padding does."""
    keep = int(rng.integers(SIDE // 2, SIDE))
    fill = 0 if rng.random() < 0.7 else int(rng.integers(0, 255))
    if rng.random() < 0.5:
        picture[:, keep:] = fill
    else:
        picture[keep:] = fill


def _paste(picture: Image, renders: Renders, width: float, rng: np.random.Generator) -> Floats:
    index = int(rng.integers(len(renders.layers)))
    marks = np.asarray(renders.marks[index : index + 1])
    zoom = width / float(marks[0, 2] - marks[0, 0])
    turn = rng.normal(0, 0.10)
    linear = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = marks[0, :4].reshape(2, 2).mean(axis=0)
    reach = min(0.5 * width, 0.45 * SIDE)
    target = np.array([rng.uniform(reach, SIDE - reach), rng.uniform(1.2 * reach, SIDE - reach)])
    matrix = np.column_stack([linear, target - linear @ middle])
    cut = _warped(np.asarray(renders.layers[index]), matrix, halve=zoom < 0.6)
    rows = np.flatnonzero(cut[..., 3].any(axis=1))
    if len(rows):
        part = slice(rows[0], rows[-1] + 1)
        picture[part] = _over(picture[part], cut[part])
    return np.asarray(_moved(marks, matrix)[0])


def _warped(layer: Image, matrix: Floats, *, halve: bool) -> Image:
    """Warp a layer into the picture; ``halve`` shrinks it first against aliasing."""
    if halve:
        layer = cv2.resize(layer, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        matrix = matrix * np.array([2.0, 2.0, 1.0])
    return np.asarray(cv2.warpAffine(layer, matrix, (SIDE, SIDE)), dtype=np.uint8)


def _overlap(a: Floats, b: Floats) -> float:
    """Return the share of box ``a`` under box ``b``."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return float(max(width, 0) * max(height, 0) / ((a[2] - a[0]) * (a[3] - a[1])))


def _mirrored(faces: Floats) -> Floats:
    if len(faces) == 0:
        return faces
    out = faces.copy()
    out[:, [0, 2]] = SIDE - faces[:, [2, 0]]
    points = faces[:, 4:].reshape(-1, 5, 2)[:, [1, 0, 2, 4, 3]].copy()
    points[..., 0] = SIDE - points[..., 0]
    out[:, 4:] = points.reshape(-1, 10)
    return out


def _visible(faces: Floats) -> Floats:
    """Keep faces whose landmarks lie in the picture."""
    points = faces[:, 4:].reshape(-1, 5, 2)
    inside = ((points > 2) & (points < SIDE - 2)).all(axis=(1, 2))
    return np.asarray(faces[inside], dtype=np.float32)


def photographed(picture: Image, rng: np.random.Generator) -> Image:
    """Return the picture after a camera: gain, colour cast, blur, noise, sometimes grey or JPEG."""
    gain = (1 + rng.normal(0, 0.13)) * (1 + rng.normal(0, 0.045, 3))
    shift = rng.normal(0, 9)
    steps = np.arange(256, dtype=np.float32)[:, None] * gain + shift
    table = np.clip(steps, 0, 255).astype(np.uint8)
    picture = np.asarray(cv2.LUT(picture, table.reshape(1, 256, 3)), dtype=np.uint8)
    if rng.random() < 0.06:
        picture = np.repeat(picture.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    draw = rng.random()
    if draw < 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.5))
    elif draw < 0.40:
        side, small = len(picture), rng.uniform(0.35, 0.8)
        picture = cv2.resize(picture, None, fx=small, fy=small, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.35:
        picture = _noisy(picture, rng)
    if rng.random() < 0.20:
        packed = cv2.imencode(
            ".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))]
        )
        picture = np.asarray(cv2.imdecode(packed[1], cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.asarray(picture, dtype=np.uint8)


def _noisy(picture: Image, rng: np.random.Generator) -> Image:
    height, width = picture.shape[:2]
    grain = rng.standard_normal((height, width, 1), dtype=np.float32) * rng.uniform(1, 8)
    return np.asarray(np.clip(picture + grain, 0, 255), dtype=np.uint8)
