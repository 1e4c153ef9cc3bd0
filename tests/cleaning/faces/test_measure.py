from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cleaning.faces.align import align_face, decode_crops
from cleaning.faces.config import FacesConfig
from cleaning.faces.decode import DecodeLimits
from cleaning.faces.duplicates import hash_to_hex, perceptual_hash
from cleaning.faces.measure import PhotoRows, measure_photos
from cleaning.faces.pack import ModelPack, load_pack
from facedata.ledger import Reason
from facedata.records import FaceRecord, PhotoRecord, from_table, to_table

Photos = Callable[..., NDArray[np.uint8]]
Encode = Callable[..., bytes]
Item = tuple[str, bytes]
CONFIG = FacesConfig(threads=2)


def item(data: bytes) -> Item:
    return hashlib.sha256(data).hexdigest(), data


@pytest.fixture
def items(red_photo: Photos, encode: Encode) -> list[Item]:
    """No, one and several faces, a copy in another format, and everything that is unusable."""
    one = red_photo(120, 96, (5, 4))
    pictures = [
        encode(one),
        encode(red_photo(120, 96)),
        encode(red_photo(160, 160, (3, 3), (14, 14))),
        encode(one, "BMP"),
        b"",
        b"not an image",
        encode(red_photo(96, 120, (5, 4)), "TIFF"),
        encode(np.zeros((1200, 1000, 3), dtype=np.uint8)),
    ]
    return [item(data) for data in pictures]


def run(items: list[Item], pack: ModelPack, config: FacesConfig = CONFIG) -> list[PhotoRows]:
    return list(measure_photos(items, pack, config))


def test_every_photo_has_its_row_in_order(items: list[Item], red_pack: ModelPack) -> None:
    config = replace(CONFIG, limits=DecodeLimits(max_pixels=1_000_000))
    rows = run(items, red_pack, config)
    assert [photo.image_id for photo, _ in rows] == [image_id for image_id, _ in items]
    assert [photo.problem for photo, _ in rows] == [
        None,
        Reason.NO_FACE.value,
        None,
        None,
        Reason.EMPTY_FILE.value,
        Reason.UNREADABLE.value,
        None,
        Reason.TOO_LARGE.value,
    ]
    assert [len(faces) for _, faces in rows] == [1, 0, 2, 1, 0, 0, 1, 0]
    sizes = [(photo.width, photo.height) for photo, _ in rows]
    assert sizes[:3] == [(120, 96), (120, 96), (160, 160)]
    assert sizes[4] == sizes[5] == sizes[7] == (0, 0)
    hashes = [photo.perceptual_hash for photo, _ in rows]
    assert hashes[0] == hashes[3]
    assert hashes[4] is hashes[5] is hashes[7] is None


def test_a_face_s_row(red_photo: Photos, encode: Encode, red_pack: ModelPack) -> None:
    pixels = red_photo(120, 96, (5, 4))
    image_id, data = item(encode(pixels))
    [(photo, [face])] = run([(image_id, data)], red_pack)
    assert photo.perceptual_hash == hash_to_hex(perceptual_hash(pixels))
    assert face.face_id == f"{image_id[:32]}-0"
    assert (face.image_id, face.face_index) == (image_id, 0)
    assert face.box == (8.0, 0.0, 72.0, 64.0)
    assert face.size == 64.0
    assert face.det_score == pytest.approx(0.945, abs=0.01)
    expected = (28, 20, 52, 20, 40, 32, 30.4, 46.4, 49.6, 46.4)
    assert face.landmarks == pytest.approx(expected, abs=1e-4)
    assert face.prominence == pytest.approx(np.sqrt(64 * 64 / (120 * 96)) * (1 - 0.5 * 1 / 3))
    assert (face.yaw, face.roll) == pytest.approx((0, 0), abs=0.01)
    landmarks = np.array(face.landmarks, dtype=np.float32).reshape(5, 2)
    assert np.array_equal(decode_crops([face.crop])[0], align_face(pixels, landmarks))


def test_rows_fit_their_schemas(items: list[Item], red_pack: ModelPack) -> None:
    rows = run(items, red_pack)
    photos = [photo for photo, _ in rows]
    faces = [face for _, own in rows for face in own]
    assert from_table(PhotoRecord, to_table(PhotoRecord, photos)) == photos
    assert [face.face_id for face in from_table(FaceRecord, to_table(FaceRecord, faces))] == [
        face.face_id for face in faces
    ]


def test_small_faces_get_no_row(red_photo: Photos, encode: Encode, red_pack: ModelPack) -> None:
    data = item(encode(red_photo(120, 96, (5, 4))))
    [(photo, faces)] = run([data], red_pack, replace(CONFIG, min_size=64.0))
    assert (photo.problem, len(faces)) == (None, 1)
    [(photo, faces)] = run([data], red_pack, replace(CONFIG, min_size=64.1))
    assert (photo.problem, faces) == (Reason.FACE_TOO_SMALL.value, [])


def test_rows_do_not_depend_on_the_neighbours(items: list[Item], red_pack: ModelPack) -> None:
    alone = [run([own], red_pack)[0] for own in items]
    assert run(items, red_pack) == alone
    assert run(items[::-1], red_pack) == alone[::-1]
    assert run(items * 12, red_pack) == alone * 12
    assert run(items, red_pack, replace(CONFIG, threads=1)) == alone


@pytest.mark.parametrize("random", [False, True])
@pytest.mark.parametrize("layout", ["cells", "photos", "batched"])
def test_batches_give_the_same_rows(
    layout: str,
    random: bool,
    items: list[Item],
    detector_file: Callable[..., Path],
    recogniser_file: Callable[..., Path],
    tmp_path: Path,
) -> None:
    detector_file(tmp_path / "det.onnx", layout=layout, random=random)
    recogniser_file(tmp_path / "rec.onnx")
    pack = load_pack(tmp_path)
    # The random detector fires everywhere; large boxes of high score are few.
    config = replace(CONFIG, min_score=0.9, min_size=24.0 if random else 32.0)
    chosen = items[:-1] * 2
    batched = run(chosen, pack, replace(config, batch_size=4))
    assert 10 <= sum(len(faces) for _, faces in batched) < 2000
    for (photo, faces), (own_photo, own_faces) in zip(
        batched, run(chosen, pack, config), strict=True
    ):
        assert photo == own_photo
        assert len(faces) == len(own_faces)
        for face, own in zip(faces, own_faces, strict=True):
            assert face.face_id == own.face_id
            assert face.box == pytest.approx(own.box, abs=1e-3)
            assert face.landmarks == pytest.approx(own.landmarks, abs=1e-3)


def test_nothing_in_nothing_out(red_pack: ModelPack) -> None:
    assert run([], red_pack) == []


def test_photos_are_taken_as_they_are_needed(
    red_photo: Photos, encode: Encode, red_pack: ModelPack
) -> None:
    taken = itertools.count()
    data = encode(red_photo(64, 64, (3, 3)))

    def endless() -> Iterator[Item]:
        for index in taken:
            yield f"{index:064d}", data

    rows = measure_photos(endless(), red_pack, CONFIG)
    first = [next(rows)[0].image_id for _ in range(10)]
    assert first == [f"{index:064d}" for index in range(10)]
    # Two chunks of 32, and the one photo that ended the second.
    assert next(taken) <= 66
    rows.close()


def test_large_photos_make_small_chunks(
    encode: Encode, red_pack: ModelPack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cleaning.faces.measure._PIXELS_PER_THREAD", 15_000)
    data = encode(np.zeros((100, 100, 3), dtype=np.uint8))
    taken = itertools.count()
    photos = ((f"{index:064d}", data) for index in taken)
    rows = measure_photos(photos, red_pack, CONFIG)
    assert next(rows)[0].problem == Reason.NO_FACE.value
    # Two chunks of three, and the one photo that ended the second.
    assert next(taken) <= 8
    rows.close()
