"""Images that are aligned faces already: taken as they are, and only where they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cleaning.faces.align import TEMPLATE, decode_crops
from cleaning.faces.config import FacesConfig
from cleaning.faces.measure import PhotoRows, measure_photos
from cleaning.faces.pack import ModelPack
from cleaning.stages.faces import FACES, measure_partition
from facedata.ledger import Reason
from facedata.records import FaceRecord, from_table
from facedata.storage import Storage

CONFIG = FacesConfig(min_size=8.0, threads=2)

Encode = Callable[..., bytes]
Photos = Callable[..., NDArray[np.uint8]]


def measured(
    pack: ModelPack, aligned: set[str], *images: bytes, config: FacesConfig = CONFIG
) -> list[PhotoRows]:
    items = [(hashlib.sha256(data).hexdigest(), data) for data in images]
    return list(measure_photos(items, pack, config, aligned))


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_an_aligned_face_is_its_own_crop(
    red_photo: Photos, encode: Encode, red_pack: ModelPack
) -> None:
    pixels = red_photo(112, 112)
    data = encode(pixels)
    [(photo, [face])] = measured(red_pack, {id_of(data)}, data)
    assert (photo.width, photo.height, photo.problem) == (112, 112, None)
    assert np.array_equal(decode_crops([face.crop])[0], pixels)
    assert (face.det_score, face.size) == (1.0, 112.0)
    assert face.box == (0.0, 0.0, 112.0, 112.0)
    assert np.allclose(face.landmarks, TEMPLATE.reshape(-1))
    assert abs(face.roll) < 1.0


def test_without_the_mark_it_is_looked_for_faces(
    red_photo: Photos, encode: Encode, red_pack: ModelPack
) -> None:
    data = encode(red_photo(112, 112))
    [(photo, faces)] = measured(red_pack, set(), data)
    assert (photo.problem, faces) == (Reason.NO_FACE.value, [])


@pytest.mark.parametrize(("width", "height"), [(112, 96), (120, 120), (224, 224)])
def test_another_size_is_looked_for_faces(
    red_photo: Photos, encode: Encode, red_pack: ModelPack, width: int, height: int
) -> None:
    data = encode(red_photo(width, height, (3, 3)))
    [(_, [face])] = measured(red_pack, {id_of(data)}, data)
    assert face.box != (0.0, 0.0, 112.0, 112.0)


def test_both_kinds_side_by_side(red_photo: Photos, encode: Encode, red_pack: ModelPack) -> None:
    crop, photo, broken = encode(red_photo(112, 112)), encode(red_photo(64, 64, (2, 2))), b"broken"
    rows = measured(red_pack, {id_of(crop), id_of(broken)}, photo, broken, crop)
    assert [photo.problem for photo, _ in rows] == [None, Reason.UNREADABLE.value, None]
    assert [len(faces) for _, faces in rows] == [1, 0, 1]
    alone = [measured(red_pack, {id_of(data)}, data)[0] for data in (photo, crop)]
    assert [rows[0], rows[2]] == alone


def test_a_face_below_the_least_size_is_no_face(
    red_photo: Photos, encode: Encode, red_pack: ModelPack
) -> None:
    data = encode(red_photo(112, 112))
    config = FacesConfig(min_size=113.0, threads=1)
    [(photo, faces)] = measured(red_pack, {id_of(data)}, data, config=config)
    assert (photo.problem, faces) == (Reason.FACE_TOO_SMALL.value, [])


def test_the_stage_is_keyed_by_what_is_aligned(
    red_photo: Photos, encode: Encode, red_pack: ModelPack, tmp_path: Path
) -> None:
    data = encode(red_photo(112, 112))
    path = tmp_path / "1.png"
    path.write_bytes(data)
    storage = Storage(tmp_path / "work")
    locations = {id_of(data): str(path)}
    plain = measure_partition(storage, locations, red_pack, CONFIG)
    marked = measure_partition(storage, locations, red_pack, CONFIG, frozenset(locations))
    assert plain.key != marked.key
    assert (plain.counts["faces"], marked.counts["faces"]) == (0, 1)
    table = storage.read_columns(marked.path(FACES), FaceRecord.SCHEMA.names)
    assert len(from_table(FaceRecord, table)) == 1
