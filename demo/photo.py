"""A photo: people in a scene, as a pure function of the people and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from demo.arrays import Floats, Image
from demo.clothes import Cut, Outfit
from demo.develop import develop, hold_object
from demo.expression import Expression
from demo.figure import Layer, Shot, render_figure
from demo.hair import covers_ears
from demo.light import Light
from demo.person import BeardStyle, Person
from demo.raster import Camera, Pose
from demo.scene import make_background
from demo.skin import skin_tone
from demo.wear import Lenses, Wear


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFace:
    """A visible face: ``box`` (x1, y1, x2, y2) and ``landmarks`` (5, 2) in pixels of the photo.

    Landmarks are the eye at the picture's left, the other eye, the nose tip and both mouth
    corners, in the order that 5-point alignment expects.
    """

    person_id: str
    box: tuple[float, float, float, float]
    landmarks: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A rendered photo: ``image`` (height, width, 3) uint8 RGB; the subject's face comes first.

    ``hidden`` are faces that nearer people cover for the most part: finding one is no mistake, and
    missing one neither.
    """

    image: Image
    faces: tuple[RenderedFace, ...]
    hidden: tuple[RenderedFace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How much photos vary.

    Angles are standard deviations in radians, cut at ``yaw_limit`` for the yaw. ``face`` is the
    range of the subject's face width as a share of the photo's shorter side; ``harm`` the treatment
    by camera and web in [0, 1]; ``occlusion`` and ``clutter`` are probabilities; ``years`` is the
    standard deviation of the age difference between photos; ``sharpness`` the pixels per head unit
    at which people are drawn before they are shrunk to size.
    """

    yaw: float = 0.30
    yaw_limit: float = 0.72
    pitch: float = 0.11
    roll: float = 0.10
    face: tuple[float, float] = (0.30, 0.50)
    harm: float = 1.0
    occlusion: float = 0.07
    clutter: float = 0.06
    years: float = 3.0
    sharpness: float = 54.0


USUAL = Conditions()
_VISIBLE = 0.6  # share of a face that must be seen for it to count


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One person's place in a photo."""

    person: Person
    shot: Shot
    camera: Camera


def render_photo(
    people: Sequence[Person],
    photo_seed: int,
    *,
    size: tuple[int, int] = (320, 288),
    conditions: Conditions = USUAL,
) -> Photo:
    """Render ``people`` (the subject first, possibly nobody) into a photo of ``size`` (h, w)."""
    rng = np.random.default_rng((0xF070, photo_seed))
    light = make_light(rng)
    picture = make_background(rng, size, clutter=conditions.clutter)
    faces: list[tuple[RenderedFace, float]] = []
    for place in _far_to_near(_places(rng, people, size, conditions)):
        layer, corner = _render_place(place, light, size, conditions.sharpness)
        _paste(picture, layer, corner)
        faces = [(face, _still_seen(face, seen, layer, corner)) for face, seen in faces]
        face = _face(place.person, layer, corner)
        if rng.random() < conditions.occlusion:
            hold_object(rng, picture, face.landmarks, np.sqrt(skin_tone(place.person)))
        faces.append((face, 1.0))
    order = {person.person_id: index for index, person in enumerate(people)}
    faces.sort(key=lambda entry: order[entry[0].person_id])
    return Photo(
        image=develop(rng, picture, conditions.harm),
        faces=tuple(face for face, seen in faces if seen > _VISIBLE),
        hidden=tuple(face for face, seen in faces if seen <= _VISIBLE),
    )


def make_light(rng: np.random.Generator) -> Light:
    """Return a random light: soft or hard, warm or cool, from any side but below."""
    side = rng.normal(0, 0.55)
    key = (float(np.clip(side, -1.1, 1.1)), float(rng.uniform(-0.85, -0.15)), 0.75)
    warmth = rng.normal(0, 0.07)
    power = rng.uniform(0.74, 1.04)
    sky = rng.uniform(0.30, 0.46)
    fill = rng.uniform(0.10, 0.30)
    return Light(
        key=key,
        key_colour=(power * (1 + warmth), power * 0.97, power * (0.92 - warmth)),
        fill=(-float(np.sign(side) or 1) * 0.8, -0.1, 0.6),
        fill_colour=(fill, fill * 1.02, fill * 1.08),
        sky_colour=(sky, sky, sky * (1.04 - 0.5 * warmth)),
        contrast=float(rng.uniform(0.30, 0.75)),
    )


def _places(
    rng: np.random.Generator,
    people: Sequence[Person],
    size: tuple[int, int],
    conditions: Conditions,
) -> list[_Place]:
    height, width = size
    count = len(people)
    slots = rng.permutation(count)
    if count == 3:
        slots = np.array([1, 0, 2])
    places = []
    for index, person in enumerate(people):
        share = rng.uniform(*conditions.face) * (1.0 if index == 0 else rng.uniform(0.62, 0.88))
        face = min(share * min(size), 0.72 * width / count) if count > 1 else share * min(size)
        scale = face / 2
        middle = (slots[index] + 0.5) / max(count, 1) * width
        x = float(np.clip(middle + rng.normal(0, 0.05) * width / count, 1.25 * scale,
                          width - 1.25 * scale))  # fmt: skip
        y = float(np.clip(rng.normal(0.45, 0.06) * height, 1.9 * scale, height - 1.75 * scale))
        camera = Camera(x=x, y=y, scale=scale, distance=float(rng.uniform(6.5, 15)))
        aged = on_the_day(rng, person, conditions)
        places.append(_Place(person=aged, shot=random_shot(rng, aged, conditions), camera=camera))
    return places


def on_the_day(rng: np.random.Generator, person: Person, conditions: Conditions) -> Person:
    """Return the person as they are in this photo: age, make-up, shave and hair vary."""
    habits = person.habits
    beard = habits.beard
    if beard is not BeardStyle.NONE and rng.random() < 0.12:
        beard = BeardStyle.STUBBLE
    made_up = float(np.clip(habits.makeup * rng.uniform(0.4, 1.3), 0, 1))
    hair = replace(
        person.hair,
        volume=person.hair.volume * float(rng.uniform(0.9, 1.1)),
        parting=person.hair.parting + float(rng.normal(0, 0.08)),
    )
    age = float(np.clip(person.age + rng.normal(0, conditions.years), 18, 80))
    return replace(person, age=age, hair=hair, habits=replace(habits, beard=beard, makeup=made_up))


def random_shot(rng: np.random.Generator, person: Person, conditions: Conditions) -> Shot:
    """Return a random pose, expression, outfit and glasses for a person."""
    limit = conditions.yaw_limit
    pose = Pose(
        yaw=float(np.clip(rng.normal(0, conditions.yaw), -limit, limit)),
        pitch=float(np.clip(rng.normal(0, conditions.pitch), -0.35, 0.35)),
        roll=float(np.clip(rng.normal(0, conditions.roll), -0.45, 0.45)),
    )
    glad = float(np.clip(rng.normal(person.habits.smile, 0.35), -0.3, 1.0))
    expression = Expression(
        smile=glad,
        open=float(max(0.0, rng.normal(-0.05, 0.25))),
        squint=float(max(0.0, rng.normal(-0.05, 0.2))),
        brow=float(np.clip(rng.normal(0.1, 0.3), -0.5, 1.0)),
        gaze=(float(rng.normal(-0.03 * pose.yaw, 0.018)), float(rng.normal(0, 0.008))),
    )
    return Shot(pose=pose, expression=expression, outfit=_outfit(rng, person),
                wear=random_wear(rng, person))  # fmt: skip


def _outfit(rng: np.random.Generator, person: Person) -> Outfit:
    cuts = [Cut.CREW, Cut.VEE, Cut.SHIRT, Cut.ROLL]
    cuts += [Cut.GOWN, Cut.VEE] if person.feminine > 0.5 else [Cut.SUIT, Cut.SUIT]
    tone, second = (_cloth(rng) for _ in range(2))
    striped = float(rng.random() < 0.15)
    return Outfit(cut=cuts[int(rng.integers(len(cuts)))], colour=tone, second=second,
                  pattern=striped)  # fmt: skip


def _cloth(rng: np.random.Generator) -> tuple[float, float, float]:
    hue, saturation, value = rng.uniform(0, 180), rng.uniform(0.05, 0.75) ** 1.3, rng.random()
    pixel = np.array([[[hue * 2, saturation, 0.10 + 0.82 * value]]], dtype=np.float32)
    red, green, blue = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]
    return float(red), float(green), float(blue)


def random_wear(rng: np.random.Generator, person: Person) -> Wear:
    """Return what a person wears today, by their habits."""
    habits = person.habits
    lenses = Lenses.NONE
    if rng.random() < habits.glasses:
        lenses = Lenses.CLEAR
    if rng.random() < habits.shades:
        lenses = Lenses.SHADES
    tone = 0.05 + 0.35 * ((person.seed * 13) % 10) / 10
    frame = (tone * 1.2, tone * 0.9, tone * 0.7)
    earrings = rng.random() < 0.7 * habits.earrings and not covers_ears(person)
    return Wear(lenses=lenses, frame=frame, earrings=earrings)


def _far_to_near(places: list[_Place]) -> list[_Place]:
    return sorted(places, key=lambda place: place.camera.scale)


def _render_place(
    place: _Place, light: Light, size: tuple[int, int], sharpness: float
) -> tuple[Layer, tuple[int, int]]:
    """Render a person larger than needed into their own window, then shrink it.

    Returns the layer in photo pixels and its corner (x, y).
    """
    camera = place.camera
    left = max(0, int(camera.x - 3.3 * camera.scale))
    top = max(0, int(camera.y - 2.5 * camera.scale))
    right = min(size[1], int(camera.x + 3.3 * camera.scale) + 1)
    height, width = size[0] - top, right - left
    factor = float(np.clip(sharpness / camera.scale, 1.0, 2.5))
    big = (round(height * factor), round(width * factor))
    zoomed = Camera(
        x=(camera.x - left) * factor,
        y=(camera.y - top) * factor,
        scale=camera.scale * factor,
        distance=camera.distance,
    )
    layer = render_figure(place.person, place.shot, zoomed, light, big)
    return shrunk(layer, (height, width), factor), (left, top)


def shrunk(layer: Layer, size: tuple[int, int], factor: float) -> Layer:
    """Return the layer at ``size``; colour is premultiplied so that edges stay clean."""
    height, width = size
    stacked = np.dstack([layer.rgb * layer.alpha[..., None], layer.alpha])
    small = cv2.resize(stacked, (width, height), interpolation=cv2.INTER_AREA)
    x1, y1, x2, y2 = (float(value / factor) for value in layer.box)
    return Layer(
        rgb=small[..., :3],
        alpha=small[..., 3],
        landmarks=layer.landmarks / np.float32(factor),
        box=(x1, y1, x2, y2),
    )


def _paste(picture: Floats, layer: Layer, corner: tuple[int, int]) -> None:
    left, top = corner
    height, width = layer.alpha.shape
    part = picture[top : top + height, left : left + width]
    part *= 1 - layer.alpha[..., None]
    part += layer.rgb


def _face(person: Person, layer: Layer, corner: tuple[int, int]) -> RenderedFace:
    left, top = corner
    x1, y1, x2, y2 = layer.box
    return RenderedFace(
        person_id=person.person_id,
        box=(x1 + left, y1 + top, x2 + left, y2 + top),
        landmarks=layer.landmarks + np.array([left, top], dtype=np.float32),
    )


def _still_seen(face: RenderedFace, seen: float, layer: Layer, corner: tuple[int, int]) -> float:
    """Return the share of a face that a nearer person leaves visible."""
    x1, y1, x2, y2 = (round(value) for value in face.box)
    left, top = corner
    hidden = layer.alpha[max(0, y1 - top) : max(0, y2 - top), max(0, x1 - left) : max(0, x2 - left)]
    area = max(1, (x2 - x1) * (y2 - y1))
    return seen - float(hidden.sum()) / area
