"""Faces in photos: SCRFD on small canvases, one photo per call or in batches of one shape."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from cleaning.faces.batches import BatchLayout, find_layout, split_batch
from cleaning.faces.pack import DetectorModel
from cleaning.faces.scrfd import Detections, Head, decode_outputs
from cleaning.faces.shrink import halve

Photo = NDArray[np.uint8]

_PADDING = 0.5
"""Black added on each side of a photo without a face, as a share of its longer side.

Tight crops show a face larger than the detector was trained for. Mirrored borders find no more of
them and show ghosts of the face.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """How a photo lies on the network's input: shrunk by ``scale`` ≤ 1, at the upper left.

    A photo is never enlarged: that costs time and finds no more faces of a usable size.
    """

    width: int
    height: int
    scale: float


class Detector:
    """Finds faces and their landmarks in photos.

    ``det_size`` is the longer side in pixels that photos are shrunk to (None: the model's own),
    ``batch_size`` how many photos go through the network at once (None: 1 on the CPU, where
    batches are no faster, 16 on a GPU).
    """

    def __init__(
        self,
        model: DetectorModel,
        *,
        min_score: float,
        det_size: int | None = None,
        batch_size: int | None = None,
    ) -> None:
        self._model = model
        self._head = Head(strides=model.strides, anchors=model.anchors)
        self._min_score = min_score
        self._det_size = det_size or model.det_size
        self._batch_size = batch_size or (16 if model.network.on_gpu else 1)

    def detect(self, photos: Sequence[Photo], pool: Executor) -> list[Detections]:
        """Find the faces of RGB photos; a photo without one is padded and tried again.

        The answer for a photo does not depend on the others. ``pool`` runs the batches.
        """
        found = self._detect_once(photos, pool)
        missed = [index for index, faces in enumerate(found) if not len(faces)]
        margins = [_margin(photos[index]) for index in missed]
        padded = [
            _pad(photos[index], margin) for index, margin in zip(missed, margins, strict=True)
        ]
        retried = self._detect_once(padded, pool)
        for index, margin, faces in zip(missed, margins, retried, strict=True):
            found[index] = faces.placed(1.0, (float(margin), float(margin)))
        return found

    def _detect_once(self, photos: Sequence[Photo], pool: Executor) -> list[Detections]:
        canvases = [self._canvas(photo.shape[1], photo.shape[0]) for photo in photos]
        by_shape: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, canvas in enumerate(canvases):
            by_shape[canvas.width, canvas.height].append(index)
        one_by_one = self._batch_size == 1 or self.layout is BatchLayout.UNSUPPORTED
        size = 1 if one_by_one else self._batch_size
        batches = [
            indices[start : start + size]
            for indices in by_shape.values()
            for start in range(0, len(indices), size)
        ]

        def run(batch: list[int]) -> list[Detections]:
            return self._run([photos[i] for i in batch], [canvases[i] for i in batch])

        found: dict[int, Detections] = {}
        for batch, results in zip(batches, pool.map(run, batches), strict=True):
            found.update(zip(batch, results, strict=True))
        return [found[index] for index in range(len(photos))]

    def _canvas(self, width: int, height: int) -> Canvas:
        longer = max(width, height)
        scale = min(1.0, self._det_size / longer)
        if self._model.fixed_size is not None:
            fixed_width, fixed_height = self._model.fixed_size
            scale = min(scale, fixed_width / width, fixed_height / height)
            return Canvas(width=fixed_width, height=fixed_height, scale=scale)
        step = max(self._model.strides)
        return Canvas(
            width=_round_up(width * scale, step),
            height=_round_up(height * scale, step),
            scale=scale,
        )

    def _run(self, photos: list[Photo], canvases: list[Canvas]) -> list[Detections]:
        model = self._model
        shape = (canvases[0].width, canvases[0].height)
        blob = np.empty((len(photos), 3, shape[1], shape[0]), dtype=np.float32)
        for row, photo, canvas in zip(blob, photos, canvases, strict=True):
            pixels = _lay_out(photo, canvas).transpose(2, 0, 1)
            np.subtract(pixels, np.float32(model.mean), out=row)
        blob /= np.float32(model.std)
        layout = BatchLayout.PHOTO_BY_PHOTO if len(photos) == 1 else self.layout
        split = split_batch(model.network.run(blob), len(photos), model.anchors, layout)
        return [
            decode_outputs(own, shape, self._head, self._min_score).placed(canvas.scale)
            for own, canvas in zip(split, canvases, strict=True)
        ]

    @cached_property
    def layout(self) -> BatchLayout:
        """How the network lays out a batch; found once, by trying."""
        side = 2 * max(self._model.strides)
        canvas = self._model.fixed_size or (side, side)
        return find_layout(self._model.network.run, canvas, self._model.anchors)


def _lay_out(photo: Photo, canvas: Canvas) -> Photo:
    """Resize a photo and put it at the upper left of a black canvas."""
    scale = canvas.scale
    while scale <= 0.5 and min(photo.shape[:2]) > 1:
        photo, scale = halve(photo), scale * 2.0
    height = max(1, round(photo.shape[0] * scale))
    width = max(1, round(photo.shape[1] * scale))
    laid_out = np.zeros((canvas.height, canvas.width, 3), dtype=np.uint8)
    laid_out[:height, :width] = cv2.resize(photo, (width, height))
    return laid_out


def _margin(photo: Photo) -> int:
    return int(_PADDING * max(photo.shape[:2]))


def _pad(photo: Photo, margin: int) -> Photo:
    sides = (margin, margin, margin, margin)
    return np.asarray(cv2.copyMakeBorder(photo, *sides, cv2.BORDER_CONSTANT), dtype=np.uint8)


def _round_up(length: float, step: int) -> int:
    """``length`` rounded to pixels, then up to a multiple of ``step``."""
    return max(1, math.ceil(round(length) / step)) * step
