"""Render the training data of the demo's model pack: ``python -m demo.packdata OUT``.

Writes arrays, all a pure function of the seed:

- ``layers.npy`` (n, 216, 256, 4) uint8 RGBA: one person before nothing, head about 84 pixels wide;
  ``labels.npy`` (n,) int64; ``marks.npy`` (n, 14) float32: box and five landmarks;
- ``backgrounds.npy`` (m, 320, 320, 3) uint8 RGB: scenes without people;
- ``scenes.npy`` (k, 320, 320, 3) uint8 RGB: finished photos padded to a square; ``boxes.npy``
  (k, 6, 15) float32: box, five landmarks and 1 per face, zeros where there is none.

The trainer pastes layers into backgrounds, so that few renders give many pictures. People here have
seeds from :data:`TRAIN_PEOPLE` on, which no demo web and no test uses.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from demo.arrays import Floats, Image
from demo.casting import make_person, make_sibling
from demo.develop import hold_object
from demo.figure import render_figure
from demo.person import Person
from demo.photo import USUAL, Photo, make_light, on_the_day, random_shot, render_photo
from demo.raster import Camera
from demo.scene import add_clutter, make_background
from demo.skin import skin_tone

TRAIN_PEOPLE = 1_000_000
SCENE = 320
FACES_PER_SCENE = 6
LAYER = (216, 256)
_LAYER_SCALE = 42.0
_BLOCK = 64


def train_person(index: int) -> Person:
    """Return the ``index``-th training person; every tenth is a sibling of the one before."""
    if index % 10 == 9:
        elder = make_person(TRAIN_PEOPLE + index - 1)
        return make_sibling(elder, TRAIN_PEOPLE + index, f"t{index}", unlike=0.6)
    return make_person(TRAIN_PEOPLE + index)


def render_layer(person_index: int, shot_index: int) -> tuple[Image, Floats]:
    """Return one cut-out of a training person: RGBA (216, 256, 4) uint8 and its marks (14,)."""
    rng = np.random.default_rng((0x1A7E2, person_index, shot_index))
    person = on_the_day(rng, train_person(person_index), USUAL)
    shot = random_shot(rng, person, USUAL)
    camera = Camera(
        x=LAYER[1] / 2,
        y=2.25 * _LAYER_SCALE,
        scale=_LAYER_SCALE,
        distance=float(rng.uniform(6.5, 15)),
    )
    layer = render_figure(person, shot, camera, make_light(rng), LAYER)
    rgb, alpha = layer.rgb.astype(np.float32), layer.alpha
    if rng.random() < USUAL.occlusion:
        before = rgb.copy()
        hold_object(rng, rgb, layer.landmarks, np.sqrt(skin_tone(person)))
        alpha = np.maximum(alpha, (before != rgb).any(axis=2))
    cut = np.dstack([rgb, alpha])
    marks = np.concatenate([np.asarray(layer.box), layer.landmarks.ravel()])
    return np.round(np.clip(cut, 0, 1) * 255).astype(np.uint8), marks.astype(np.float32)


def render_background(index: int) -> Image:
    """Return a scene without people (320, 320, 3) uint8."""
    rng = np.random.default_rng((0xBAC6, index))
    picture = make_background(rng, (SCENE, SCENE), clutter=0.6)
    if rng.random() < 0.3:
        picture = add_clutter(rng, picture)
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def render_scene(index: int) -> tuple[Image, Floats]:
    """Return one finished photo in a square (320, 320, 3) uint8 and its faces (6, 15)."""
    rng = np.random.default_rng((0x5CE4E, index))
    count = int(rng.choice([0, 1, 2, 3, 5], p=[0.12, 0.40, 0.23, 0.15, 0.10]))
    people = [make_person(TRAIN_PEOPLE + int(rng.integers(100_000))) for _ in range(count)]
    conditions = replace(USUAL, face=_face_range(rng, count), clutter=0.5 if count else 0.9)
    size = (SCENE, int(rng.integers(200, SCENE + 1)))
    if rng.random() < 0.3:
        size = (size[1], size[0])
    photo = render_photo(people, TRAIN_PEOPLE + index, size=size, conditions=conditions)
    return _framed(photo)


def _face_range(rng: np.random.Generator, count: int) -> tuple[float, float]:
    if count == 1:
        low = float(rng.choice([0.09, 0.22, 0.45]))
        return low, low * 1.9
    return (0.10, 0.34) if count < 4 else (0.09, 0.16)


def _framed(photo: Photo) -> tuple[Image, Floats]:
    """Put a photo into the corner of a black square, as the detector's input is padded."""
    frame = np.zeros((SCENE, SCENE, 3), dtype=np.uint8)
    height, width = photo.image.shape[:2]
    frame[:height, :width] = photo.image
    rows = np.zeros((FACES_PER_SCENE, 15), dtype=np.float32)
    for row, face in zip(rows, photo.faces, strict=False):
        row[:4], row[4:14], row[14] = face.box, face.landmarks.ravel(), 1
    return frame, rows


def _layer_block(folder: Path, per_person: int, start: int, stop: int) -> None:
    layers = np.load(folder / "layers.npy", mmap_mode="r+")
    marks = np.load(folder / "marks.npy", mmap_mode="r+")
    for index in range(start, stop):
        layers[index], marks[index] = render_layer(index // per_person, index % per_person)


def _scene_block(folder: Path, start: int, stop: int) -> None:
    scenes = np.load(folder / "scenes.npy", mmap_mode="r+")
    boxes = np.load(folder / "boxes.npy", mmap_mode="r+")
    for index in range(start, stop):
        scenes[index], boxes[index] = render_scene(index)


def _background_block(folder: Path, start: int, stop: int) -> None:
    backgrounds = np.load(folder / "backgrounds.npy", mmap_mode="r+")
    for index in range(start, stop):
        backgrounds[index] = render_background(index)


def _reserve(path: Path, shape: tuple[int, ...], kind: type) -> None:
    np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape).flush()


def _one_thread() -> None:
    cv2.setNumThreads(1)


def _in_blocks(work: Callable[[int, int], None], count: int, processes: int) -> None:
    blocks = [(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK)]
    with get_context("spawn").Pool(processes, initializer=_one_thread) as pool:
        pool.starmap(work, blocks, chunksize=1)


def write_layers(folder: Path, people: int, per_person: int, processes: int) -> None:
    """Render ``per_person`` cut-outs of each of ``people`` people into ``folder``."""
    count = people * per_person
    _reserve(folder / "layers.npy", (count, *LAYER, 4), np.uint8)
    _reserve(folder / "marks.npy", (count, 14), np.float32)
    np.save(folder / "labels.npy", np.repeat(np.arange(people), per_person))
    _in_blocks(partial(_layer_block, folder, per_person), count, processes)


def write_scenes(folder: Path, count: int, processes: int) -> None:
    """Render ``count`` finished photos, and half as many backgrounds, into ``folder``."""
    _reserve(folder / "scenes.npy", (count, SCENE, SCENE, 3), np.uint8)
    _reserve(folder / "boxes.npy", (count, FACES_PER_SCENE, 15), np.float32)
    _in_blocks(partial(_scene_block, folder), count, processes)
    _reserve(folder / "backgrounds.npy", (count // 2, SCENE, SCENE, 3), np.uint8)
    _in_blocks(partial(_background_block, folder), count // 2, processes)


def main() -> None:
    """Render the training data."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scenes", type=int, default=800)
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--per-person", type=int, default=10)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    request = parser.parse_args()
    request.out.mkdir(parents=True, exist_ok=True)
    write_scenes(request.out, request.scenes, request.processes)
    write_layers(request.out, request.people, request.per_person, request.processes)


if __name__ == "__main__":
    main()
