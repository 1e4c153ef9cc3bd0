"""Photos: the same bytes for the same seed, true landmarks, honest visibility."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from demo import noise
from demo.casting import make_person
from demo.photo import USUAL, Conditions, render_photo
from demo.raster import FAR, Camera, Pose, apply_pose, normals, rasterise, rotation, sample

CALM = Conditions(yaw=0.0, pitch=0.0, roll=0.0, harm=0.0, occlusion=0.0, clutter=0.0)


def test_the_same_seed_gives_the_same_bytes() -> None:
    people = [make_person(1), make_person(2)]
    first, second = (render_photo(people, 11, size=(160, 200)) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.image.dtype == np.uint8
    assert first.image.shape == (160, 200, 3)
    assert [face.person_id for face in first.faces] == [face.person_id for face in second.faces]


def test_another_seed_gives_another_photo() -> None:
    people = [make_person(1)]
    first, second = (render_photo(people, seed, size=(128, 128)) for seed in (1, 2))
    assert (first.image != second.image).any()


def test_nobody_gives_an_empty_scene() -> None:
    photo = render_photo([], 3, size=(120, 120))
    assert photo.faces == ()
    assert photo.image.std() > 1


@pytest.mark.parametrize("seed", range(8))
def test_landmarks_are_in_order_and_in_the_box(seed: int) -> None:
    photo = render_photo([make_person(seed)], seed, size=(200, 180))
    face = photo.faces[0]
    eye_a, eye_b, nose, mouth_a, mouth_b = np.asarray(face.landmarks)
    assert eye_a[0] < eye_b[0]
    assert mouth_a[0] < mouth_b[0]
    assert max(eye_a[1], eye_b[1]) < nose[1] < min(mouth_a[1], mouth_b[1])
    x1, y1, x2, y2 = face.box
    points = np.asarray(face.landmarks)
    assert ((points > (x1 - 1, y1 - 1)) & (points < (x2 + 1, y2 + 1))).all()


def test_eyes_are_dark_where_the_landmarks_say() -> None:
    """The pupil lies at the eye landmark: darker there than on the cheek below."""
    for seed in range(6):
        person = make_person(seed)
        calm = replace(person, habits=replace(person.habits, glasses=0.0, shades=0.0))
        photo = render_photo([calm], seed, size=(320, 300), conditions=CALM)
        for x, y in np.asarray(photo.faces[0].landmarks)[:2]:
            row, column = round(float(y)), round(float(x))
            pupil = photo.image[row - 2 : row + 3, column - 2 : column + 3].min()
            assert pupil < 0.6 * photo.image[row + 22, column].mean()


def test_the_nose_moves_more_than_the_eyes_when_the_head_turns() -> None:
    """Real parallax: what stands out moves further."""
    point = np.array([[0.0, 0.0, 1.0], [0.0, 0.6, 1.5]], dtype=np.float32)
    still = np.zeros(2, dtype=np.float32)
    camera = Camera(x=100, y=100, scale=40, distance=8)
    turned = camera.project(apply_pose(point, still, Pose(yaw=0.5), Pose()))
    assert turned[1, 0] - 100 > 1.3 * (turned[0, 0] - 100) > 0


def test_a_covered_face_is_hidden_not_found() -> None:
    """Five people in a narrow photo cover each other; nobody is lost from the account."""
    people = [make_person(seed) for seed in range(5)]
    photo = render_photo(people, 5, size=(200, 120))
    seen = {face.person_id for face in photo.faces}
    hidden = {face.person_id for face in photo.hidden}
    assert seen | hidden == {person.person_id for person in people}
    assert not seen & hidden


def test_the_subject_comes_first_and_is_largest() -> None:
    people = [make_person(seed) for seed in range(3)]
    photo = render_photo(people, 8, size=(288, 384), conditions=replace(USUAL, yaw=0.1))
    assert photo.faces[0].person_id == people[0].person_id
    widths = [face.box[2] - face.box[0] for face in photo.faces]
    assert widths[0] > 0.85 * max(widths)


def test_rasterising_a_plane_gives_its_depth_and_place() -> None:
    y, x = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-1, 1, 31), indexing="ij")
    plane = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.float32)
    camera = Camera(x=50, y=40, scale=30, distance=10)
    seen = rasterise(plane, camera, (80, 100))
    inside = seen.depth < FAR
    assert inside.sum() == pytest.approx(60 * 60, rel=0.05)
    assert np.allclose(seen.depth[inside], 10, atol=1e-3)
    across = sample(np.ascontiguousarray(plane[..., 0]), seen)
    assert across[40, 65] == pytest.approx(0.5, abs=0.03)
    assert not (rasterise(plane, camera, (80, 100), facing=False).depth < FAR).any()
    assert np.allclose(normals(plane), (0, 0, 1), atol=1e-6)


def test_a_rotation_is_orthogonal() -> None:
    matrix = rotation(Pose(yaw=0.4, pitch=-0.2, roll=0.3))
    assert np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-6)


def test_noise_of_no_points_is_empty_and_wraps_elsewhere() -> None:
    empty = np.zeros(0, dtype=np.float32)
    assert noise.look_up(noise.grain(), empty, empty).shape == (0,)
    place = np.array([3.5], dtype=np.float32)
    once, again = (noise.look_up(noise.grain(), place + shift, place) for shift in (0, noise.SIZE))
    assert once == pytest.approx(again, abs=1e-3)
    edge = np.array([noise.SIZE - 0.5], dtype=np.float32)
    assert np.isfinite(noise.look_up(noise.grain(), edge, edge)).all()
