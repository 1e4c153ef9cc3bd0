"""Photos in, rows out: decode, detect, align and measure, in bounded memory."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cleaning.faces.align import CROP_SIZE, TEMPLATE, align_face, encode_crop
from cleaning.faces.config import FacesConfig
from cleaning.faces.decode import DecodeFailure, count_pixels, decode_image, read_taken_year
from cleaning.faces.detect import Detector
from cleaning.faces.duplicates import hash_to_hex, perceptual_hash
from cleaning.faces.pack import ModelPack
from cleaning.faces.quality import estimate_pose, measure_blur, measure_prominence, measure_size
from cleaning.faces.scrfd import Detections
from facedata.ledger import Reason
from facedata.records import FaceRecord, PhotoRecord

PhotoRows = tuple[PhotoRecord, list[FaceRecord]]

_CHUNK_PHOTOS = 32
_PIXELS_PER_THREAD = 16_000_000
_WHOLE_CROP = Detections(
    boxes=np.array([[0.0, 0.0, CROP_SIZE, CROP_SIZE]], dtype=np.float32),
    scores=np.ones(1, dtype=np.float32),
    landmarks=TEMPLATE[np.newaxis].astype(np.float32),
)
"""The one face of an image that is an aligned crop already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    image_id: str
    photo: NDArray[np.uint8] | None
    perceptual_hash: str | None
    problem: Reason | None
    taken_year: int | None = None
    is_crop: bool = False
    """An aligned 112×112 crop: its pixels are the face."""


def measure_photos(
    items: Iterable[tuple[str, bytes]],
    pack: ModelPack,
    config: FacesConfig,
    aligned: Container[str] = (),
) -> Iterator[PhotoRows]:
    """Find, align and measure the faces of encoded photos.

    Takes pairs of image id and bytes, and gives one row per photo in the same order, with the
    faces of at least ``min_size`` by falling score. A photo's rows depend on its own bytes, the
    models and the configuration, never on its neighbours. A few dozen photos are held at once,
    fewer when they are large; the next ones are decoded while the detector runs.

    The images of 112×112 pixels whose ids are in ``aligned`` are not looked for faces: each is
    its one face, with the template's landmarks and a score of 1.

    Raises:
        ModelError: the detector fails.
    """
    detector = Detector(
        pack.detector,
        min_score=config.min_score,
        det_size=config.det_size,
        batch_size=config.batch_size,
    )
    with ThreadPoolExecutor(config.threads) as pool:
        waiting: list[Future[_Opened]] = []
        for chunk in _chunks(items, config):
            decoding = [
                pool.submit(_open, image_id, data, config, image_id in aligned)
                for image_id, data in chunk
            ]
            yield from _measure_chunk([task.result() for task in waiting], detector, pool, config)
            waiting = decoding
        yield from _measure_chunk([task.result() for task in waiting], detector, pool, config)


def _chunks(
    items: Iterable[tuple[str, bytes]], config: FacesConfig
) -> Iterator[list[tuple[str, bytes]]]:
    """Cut the photos into chunks by number and by pixels, from their headers."""
    chunk: list[tuple[str, bytes]] = []
    pixels, most = 0, _PIXELS_PER_THREAD * config.threads
    for image_id, data in items:
        try:
            own = count_pixels(data, config.limits)
        except DecodeFailure:
            own = 0
        if chunk and (len(chunk) == _CHUNK_PHOTOS or pixels + own > most):
            yield chunk
            chunk, pixels = [], 0
        chunk.append((image_id, data))
        pixels += own
    if chunk:
        yield chunk


def _open(image_id: str, data: bytes, config: FacesConfig, aligned: bool) -> _Opened:
    try:
        photo = decode_image(data, config.limits)
    except DecodeFailure as failure:
        return _Opened(image_id=image_id, photo=None, perceptual_hash=None, problem=failure.reason)
    text = hash_to_hex(perceptual_hash(photo))
    return _Opened(
        image_id=image_id,
        photo=photo,
        perceptual_hash=text,
        problem=None,
        taken_year=read_taken_year(data, config.limits),
        is_crop=aligned and photo.shape[:2] == (CROP_SIZE, CROP_SIZE),
    )


def _measure_chunk(
    opened: Sequence[_Opened], detector: Detector, pool: Executor, config: FacesConfig
) -> Iterator[PhotoRows]:
    photos = [entry.photo for entry in opened if entry.photo is not None and not entry.is_crop]
    found = iter(detector.detect(photos, pool))
    faces = [
        _WHOLE_CROP if entry.is_crop else None if entry.photo is None else next(found)
        for entry in opened
    ]
    return pool.map(partial(_rows, config=config), opened, faces)


def _rows(opened: _Opened, found: Detections | None, config: FacesConfig) -> PhotoRows:
    if opened.photo is None or found is None:
        return _photo_record(opened, opened.problem), []
    sizes = [measure_size(box) for box in found.boxes]
    usable = [index for index, size in enumerate(sizes) if size >= config.min_size]
    problem = None
    if not usable:
        problem = Reason.FACE_TOO_SMALL if sizes else Reason.NO_FACE
    faces = [
        _face_record(opened, opened.photo, found, index, rank) for rank, index in enumerate(usable)
    ]
    return _photo_record(opened, problem), faces


def _photo_record(opened: _Opened, problem: Reason | None) -> PhotoRecord:
    height, width = (0, 0) if opened.photo is None else opened.photo.shape[:2]
    return PhotoRecord(
        image_id=opened.image_id,
        width=width,
        height=height,
        perceptual_hash=opened.perceptual_hash,
        problem=None if problem is None else problem.value,
        taken_year=opened.taken_year,
    )


def _face_record(
    opened: _Opened, photo: NDArray[np.uint8], found: Detections, index: int, rank: int
) -> FaceRecord:
    box, landmarks = found.boxes[index], found.landmarks[index]
    crop = photo if opened.is_crop else align_face(photo, landmarks)
    pose = estimate_pose(landmarks)
    return FaceRecord(
        face_id=f"{opened.image_id[:32]}-{rank}",
        image_id=opened.image_id,
        face_index=rank,
        det_score=float(found.scores[index]),
        box=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
        landmarks=tuple(float(value) for value in landmarks.reshape(-1)),
        size=measure_size(box),
        prominence=measure_prominence(box, photo.shape[1], photo.shape[0]),
        blur=measure_blur(crop),
        yaw=pose.yaw,
        pitch=pose.pitch,
        roll=pose.roll,
        crop=encode_crop(crop),
    )
