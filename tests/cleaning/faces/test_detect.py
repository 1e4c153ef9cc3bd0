from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from insightface.model_zoo.scrfd import SCRFD
from numpy.typing import NDArray

from cleaning.faces.batches import BatchLayout
from cleaning.faces.detect import Detector
from cleaning.faces.pack import ModelPack, load_pack
from cleaning.faces.scrfd import Detections

Photos = Callable[..., NDArray[np.uint8]]
REACH = 32.0
"""Box reach of the red-cell detector in pixels: 4 strides of 8."""


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def assert_same(first: Detections, second: Detections, tolerance: float) -> None:
    assert len(first) == len(second)
    assert np.allclose(first.scores, second.scores, atol=tolerance)
    assert np.allclose(first.boxes, second.boxes, atol=tolerance)
    assert np.allclose(first.landmarks, second.landmarks, atol=tolerance)


def test_faces_are_where_they_are(red_pack: ModelPack, red_photo: Photos, pool: Executor) -> None:
    photo = red_photo(200, 150, (3, 2), (20, 15))
    found = Detector(red_pack.detector, min_score=0.5).detect([photo], pool)[0]
    assert np.allclose(found.scores, 1 / (1 + np.exp(29 - 16 * 255 / 128)), atol=1e-5)
    assert found.boxes.tolist() == [
        [24 - REACH, 16 - REACH, 24 + REACH, 16 + REACH],
        [160 - REACH, 120 - REACH, 160 + REACH, 120 + REACH],
    ]
    assert found.landmarks[1].tolist()[0] == [148.0, 108.0]


def test_large_photos_are_shrunk_and_mapped_back(
    red_pack: ModelPack, red_photo: Photos, pool: Executor
) -> None:
    small = red_photo(160, 96, (5, 4))
    large = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)
    found = Detector(red_pack.detector, min_score=0.5, det_size=160).detect([large], pool)[0]
    assert found.boxes.tolist() == [
        [4 * (40 - REACH), 4 * (32 - REACH), 4 * (40 + REACH), 4 * (32 + REACH)]
    ]


def test_min_score_decides(red_pack: ModelPack, red_photo: Photos, pool: Executor) -> None:
    photo = red_photo(64, 64, (2, 2))
    assert len(Detector(red_pack.detector, min_score=0.94).detect([photo], pool)[0]) == 1
    assert len(Detector(red_pack.detector, min_score=0.96).detect([photo], pool)[0]) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (33, 31)])
def test_odd_shapes_pass(shape: tuple[int, int], red_pack: ModelPack, pool: Executor) -> None:
    photo = np.full((*shape, 3), 120, dtype=np.uint8)
    assert len(Detector(red_pack.detector, min_score=0.5).detect([photo], pool)[0]) == 0


def test_no_photos(red_pack: ModelPack, pool: Executor) -> None:
    assert Detector(red_pack.detector, min_score=0.5).detect([], pool) == []


def test_a_photo_without_a_face_is_padded_and_tried_again(
    red_pack: ModelPack, pool: Executor
) -> None:
    # A red square of 16 pixels that no 8-pixel cell lies in; padding by 14 moves it onto cells.
    photo = np.full((28, 28, 3), 120, dtype=np.uint8)
    photo[2:12, 2:12] = (255, 0, 0)
    detector = Detector(red_pack.detector, min_score=0.5)
    assert len(detector._detect_once([photo], pool, padding=0.0)[0]) == 0
    found = detector.detect([photo], pool)[0]
    # The cell (16, 16) of the padded photo is the pixel (2, 2) of the photo.
    assert found.boxes.tolist() == [[2 - REACH, 2 - REACH, 2 + REACH, 2 + REACH]]
    assert found.landmarks[0, 2].tolist() == [2.0, 2.0]


def test_a_large_photo_is_shrunk_to_fit_with_its_padding(
    red_pack: ModelPack, pool: Executor
) -> None:
    photo = np.full((1024, 1024, 3), 120, dtype=np.uint8)
    photo[512:576, 512:576] = (255, 0, 0)
    detector = Detector(red_pack.detector, min_score=0.5, det_size=256)
    found = detector._detect_once([photo], pool, padding=0.5)[0]
    # An eighth of the size in the middle of 256 pixels: the square is the cell at (128, 128).
    assert found.boxes.tolist() == [[256.0, 256.0, 768.0, 768.0]]


@pytest.mark.parametrize("fixed", [None, 128])
@pytest.mark.parametrize("layout", ["cells", "photos", "batched"])
def test_a_batch_gives_what_single_photos_give(
    layout: str,
    fixed: int | None,
    detector_file: Callable[..., Path],
    recogniser_file: Callable[..., Path],
    tmp_path: Path,
    pool: Executor,
) -> None:
    detector_file(tmp_path / "det.onnx", layout=layout, random=True, fixed=fixed)
    recogniser_file(tmp_path / "rec.onnx")
    model = load_pack(tmp_path).detector
    rng = np.random.default_rng(0)
    shapes = [(96, 128), (128, 96), (96, 128), (64, 64), (96, 128), (300, 200), (95, 127)]
    photos = [rng.integers(0, 255, (*shape, 3), dtype=np.uint8) for shape in shapes]
    alone = Detector(model, min_score=0.6, batch_size=1).detect(photos, pool)
    batched = Detector(model, min_score=0.6, batch_size=4)
    assert batched.layout is not BatchLayout.UNSUPPORTED
    assert sum(len(faces) for faces in alone) > 10
    for first, second in zip(alone, batched.detect(photos, pool), strict=True):
        assert_same(first, second, 1e-3)


@pytest.mark.parametrize("layout", ["cells", "batched"])
def test_insightface_finds_the_same(
    layout: str,
    detector_file: Callable[..., Path],
    recogniser_file: Callable[..., Path],
    tmp_path: Path,
    pool: Executor,
) -> None:
    path = detector_file(tmp_path / "det.onnx", layout=layout, random=True)
    recogniser_file(tmp_path / "rec.onnx")
    photo = np.random.default_rng(1).integers(0, 255, (128, 192, 3), dtype=np.uint8)
    found = Detector(load_pack(tmp_path).detector, min_score=0.6).detect([photo], pool)[0]
    peer = SCRFD(str(path))
    peer.prepare(-1, det_thresh=0.6)
    boxes, landmarks = peer.detect(photo[:, :, ::-1], input_size=(192, 128))
    assert len(found) == len(boxes) > 5
    assert np.allclose(found.boxes, boxes[:, :4], atol=1e-3)
    assert np.allclose(found.scores, boxes[:, 4], atol=1e-5)
    assert np.allclose(found.landmarks, landmarks, atol=1e-3)
