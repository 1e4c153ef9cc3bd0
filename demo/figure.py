"""One person rendered into a layer: colour, opacity and true landmarks."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from demo.arrays import Floats
from demo.clothes import Outfit, paint_clothes
from demo.expression import Expression, lips, moved
from demo.features import paint_brows, paint_eyes, paint_lips
from demo.hair import Shell, make_shell, opacity, strand_noise
from demo.head import Bust, crown_height, make_bust, surface_points
from demo.light import Light, Surface, shade_hair, shade_skin, shadow
from demo.paint import Canvas
from demo.person import Person
from demo.raster import FAR, Camera, Fragments, Pose, apply_pose, normals, rasterise, sample
from demo.skin import hair_colour, paint_beard, paint_nose, paint_skin
from demo.wear import Mount, Wear, paint_wear

Mask = npt.NDArray[np.bool_]

_HAIR_BIAS = 0.13


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """How one person is shown: pose, expression, clothes and things worn."""

    pose: Pose
    expression: Expression
    outfit: Outfit
    wear: Wear = field(default_factory=Wear)

    @property
    def torso(self) -> Pose:
        """Return the pose of the chest, which follows the head a little."""
        return Pose(
            yaw=0.35 * self.pose.yaw, pitch=0.1 * self.pose.pitch, roll=0.25 * self.pose.roll
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A rendered person.

    ``rgb`` (h, w, 3) sRGB in [0, 1] and ``alpha`` (h, w), both float32; ``landmarks`` (5, 2): eyes,
    nose tip, mouth corners, left to right as seen by the person's viewer; ``box`` (x1, y1, x2, y2)
    from the hairline to the chin. Both in pixels of the window.
    """

    rgb: Floats
    alpha: Floats
    landmarks: Floats
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Posed:
    """A person's grids after pose, with the key light that reaches them."""

    person: Person
    shot: Shot
    bust: Bust
    skin: Floats
    skin_lit: Floats
    shell: Shell | None
    hair: Floats

    def turn(self, points: Floats) -> Floats:
        """Turn points of the head (n, 3), before pose, with the head."""
        still = np.zeros(len(points), dtype=np.float32)
        return apply_pose(points, still, self.shot.pose, self.shot.torso)


@dataclass(frozen=True, slots=True)
class _View:
    """The camera and light of a picture, and the depth of what is already drawn."""

    camera: Camera
    light: Light
    depth: Floats


def render_figure(
    person: Person, shot: Shot, camera: Camera, light: Light, size: tuple[int, int]
) -> Layer:
    """Render a person into a window of ``size`` (height, width) pixels."""
    posed = _posed(person, shot, light)
    seen = rasterise(posed.skin, camera, size)
    body = seen.depth < FAR
    picture = np.zeros((*size, 4), dtype=np.float32)
    if posed.shell is not None:
        _draw_back_hair(picture, posed, posed.shell, camera)
    picture[body, :3] = _lit_skin(posed, camera, light, seen, body)
    picture[body, 3] = 1
    if posed.shell is not None:
        _draw_hair(picture, posed, posed.shell, _View(camera, light, seen.depth))
    rgb, alpha = _developed(picture[..., :3]), np.ascontiguousarray(picture[..., 3])
    mount = Mount(
        person=person,
        project=lambda points: camera.project(posed.turn(points)),
        scale=camera.scale,
        yaw=shot.pose.yaw,
    )
    paint_wear(rgb, alpha, shot.wear, mount)
    return Layer(
        rgb=rgb,
        alpha=alpha,
        landmarks=camera.project(posed.turn(_landmark_points(person, shot.expression, posed.bust))),
        box=_face_box(posed, camera),
    )


def _posed(person: Person, shot: Shot, light: Light) -> _Posed:
    bust = make_bust(person, shot.expression)
    skin = apply_pose(bust.points, bust.rest_y, shot.pose, shot.torso)
    shell = make_shell(person)
    hair = np.zeros((0, 0, 3), dtype=np.float32)
    casters = [skin]
    if shell is not None:
        hair = apply_pose(shell.points, shell.rest_y, shot.pose, shot.torso)
        casters.append(hair)
    return _Posed(
        person=person,
        shot=shot,
        bust=bust,
        skin=skin,
        skin_lit=shadow(casters, skin, light),
        shell=shell,
        hair=hair,
    )


def _lit_skin(posed: _Posed, camera: Camera, light: Light, seen: Fragments, body: Mask) -> Floats:
    """Paint and light the visible skin and clothes; returns linear colour (n, 3)."""
    fields = np.dstack([posed.bust.points, posed.skin_lit])
    spread = sample(normals(posed.skin), seen)[body]
    values = sample(fields, seen)[body]
    count = len(values)
    canvas = Canvas(
        x=np.ascontiguousarray(values[:, 0]),
        y=np.ascontiguousarray(values[:, 1]),
        z=np.ascontiguousarray(values[:, 2]),
        rgb=np.zeros((count, 3), dtype=np.float32),
        gloss=np.full(count, 0.30, dtype=np.float32),
        glow=np.zeros(count, dtype=np.float32),
        soft=1.0 / camera.scale,
    )
    _paint(canvas, posed)
    surface = Surface(
        normal=_unit(spread),
        albedo=canvas.rgb,
        gloss=canvas.gloss,
        lit=np.ascontiguousarray(values[:, 3]),
        hollow=sample(posed.bust.hollow, seen)[body],
    )
    return shade_skin(surface, light) + canvas.glow[:, None]


def _paint(canvas: Canvas, posed: _Posed) -> None:
    person, expression = posed.person, posed.shot.expression
    paint_skin(canvas, person, expression)
    paint_nose(canvas, person)
    paint_beard(canvas, person, expression)
    paint_lips(canvas, person, expression)
    paint_eyes(canvas, person, expression)
    paint_brows(canvas, person, expression)
    paint_clothes(canvas, posed.shot.outfit)


def _draw_back_hair(picture: Floats, posed: _Posed, shell: Shell, camera: Camera) -> None:
    """Draw the inner side of the hair, seen behind the neck, into an empty picture."""
    seen = rasterise(posed.hair, camera, picture.shape[:2], facing=False)
    near = seen.depth < FAR
    fields = sample(shell.fields, seen)[near]
    strand = strand_noise(fields[:, 1], fields[:, 2], posed.person)
    tone = 0.22 * np.clip(1 + 0.3 * strand, 0.3, 1.8)
    picture[near, :3] = hair_colour(posed.person) * tone[:, None]
    picture[near, 3] = opacity(fields[:, 0], strand, posed.person)


def _draw_hair(picture: Floats, posed: _Posed, shell: Shell, view: _View) -> None:
    """Blend the hair over the picture where it is nearer than the head."""
    seen = rasterise(posed.hair, view.camera, picture.shape[:2])
    near = (seen.depth < FAR) & (seen.depth < view.depth + _HAIR_BIAS)
    if not near.any():
        return
    along = np.gradient(posed.hair, axis=0).astype(np.float32)
    normal = _unit(sample(normals(posed.hair), seen)[near])
    fields = sample(shell.fields, seen)[near]
    strand = strand_noise(fields[:, 1], fields[:, 2], posed.person)
    tone = np.clip(1 + 0.24 * strand, 0.3, 1.8) * (1 - 0.55 * fields[:, 3])
    surface = Surface(
        normal=normal,
        albedo=hair_colour(posed.person) * tone[:, None],
        gloss=np.clip(0.55 + 0.35 * strand, 0, 2),
        lit=np.ones(len(tone), dtype=np.float32),
        hollow=np.ones(len(tone), dtype=np.float32),
    )
    colour = shade_hair(surface, _unit(sample(along, seen)[near]), view.light)
    cover = opacity(fields[:, 0], strand, posed.person)
    _blend_hair(picture, near, colour, cover, view.camera.scale)


def _unit(vectors: Floats) -> Floats:
    length = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    return np.asarray(vectors / (length + 1e-6), dtype=np.float32)


def _blend_hair(picture: Floats, near: Mask, colour: Floats, cover: Floats, scale: float) -> None:
    """Blend hair into a picture and let it darken what lies just below its edge."""
    veil = np.zeros(picture.shape[:2], dtype=np.float32)
    veil[near] = cover
    reach = 2 * max(1, round(0.09 * scale)) + 1
    shade = cv2.blur(cv2.blur(veil, (reach, reach)), (reach, reach))
    below = (shade > 0.02) & (veil < 0.98) & (picture[..., 3] > 0)
    picture[below, :3] *= (1 - 0.45 * shade[below] * (1 - veil[below]))[:, None]
    held = picture[near]
    keep = (1 - cover) * held[:, 3]
    total = cover + keep
    mixed = (colour * cover[:, None] + held[:, :3] * keep[:, None]) / (total[:, None] + 1e-6)
    picture[near] = np.concatenate([mixed, total[:, None]], axis=1)


def _developed(linear_rgb: Floats) -> Floats:
    """Turn linear light into sRGB with a soft shoulder."""
    value = np.clip(linear_rgb, 0, None)
    value = 0.98 * value / (1 + 0.10 * value)
    return np.sqrt(np.minimum(value, 1))


def _landmark_points(person: Person, expression: Expression, bust: Bust) -> Floats:
    mouth = lips(person, expression)
    tip = person.nose.base - 0.10
    eye = person.eyes.spacing
    corner_y = mouth.y + mouth.corner
    places = np.array(
        [[-eye, 0.0], [eye, 0.0], [0.0, tip], [-mouth.half_width, corner_y],
         [mouth.half_width, corner_y]], dtype=np.float32,
    )  # fmt: skip
    places[2, 0:1], places[2, 1:2] = moved(places[2, :1], places[2, 1:], person, expression)
    return surface_points(bust, places)


def _face_box(posed: _Posed, camera: Camera) -> tuple[float, float, float, float]:
    """Return the box around the face from the hairline to the chin and from side to side."""
    y, points = posed.bust.rest_y, posed.bust.points
    person = posed.person
    top = max(person.hair.hairline, 0.85 * crown_height(person))
    face = (y > top) & (y < person.skull.chin_length + 0.02) & (points[..., 2] > 0.05)
    seen = camera.project(posed.skin[face])
    left, up = seen.min(axis=0)
    right, down = seen.max(axis=0)
    return float(left), float(up), float(right), float(down)
