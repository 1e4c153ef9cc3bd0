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
    """How a photo lies on the network's input: shrunk by ``scale`` ≤ 1, at (margin, margin).

    A photo is never enlarged: that costs time and finds no more faces of a usable size.
    """

    width: int
    height: int
    scale: float
    margin: int


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
        found = self._detect_once(photos, pool, padding=0.0)
        missed = [index for index, faces in enumerate(found) if not len(faces)]
        retried = self._detect_once([photos[index] for index in missed], pool, padding=_PADDING)
        for index, faces in zip(missed, retried, strict=True):
            found[index] = faces
        return found

    def _detect_once(
        self, photos: Sequence[Photo], pool: Executor, *, padding: float
    ) -> list[Detections]:
        canvases = [self._canvas(photo.shape[1], photo.shape[0], padding) for photo in photos]
        by_shape: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, canvas in enumerate(canvases):
            by_shape[canvas.width, canvas.height].append(index)
        size = self._batch_of
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

    def _canvas(self, width: int, height: int, padding: float) -> Canvas:
        longer = max(width, height)
        border = 2.0 * padding * longer
        scale = min(1.0, self._det_size / (longer + border))
        if self._model.fixed_size is not None:
            fixed_width, fixed_height = self._model.fixed_size
            scale = min(scale, fixed_width / (width + border), fixed_height / (height + border))
        margin = int(padding * longer * scale)
        if self._model.fixed_size is not None:
            return Canvas(width=fixed_width, height=fixed_height, scale=scale, margin=margin)
        step = max(self._model.strides)
        return Canvas(
            width=_round_up(width * scale + 2 * margin, step),
            height=_round_up(height * scale + 2 * margin, step),
            scale=scale,
            margin=margin,
        )

    def _run(self, photos: list[Photo], canvases: list[Canvas]) -> list[Detections]:
        model = self._model
        shape = (canvases[0].width, canvases[0].height)
        # Batches are always full: a GPU may take another algorithm for another batch size.
        blob = np.zeros((self._batch_of, 3, shape[1], shape[0]), dtype=np.float32)
        for row, photo, canvas in zip(blob, photos, canvases, strict=False):
            pixels = _lay_out(photo, canvas).transpose(2, 0, 1)
            np.subtract(pixels, np.float32(model.mean), out=row)
        blob /= np.float32(model.std)
        layout = BatchLayout.PHOTO_BY_PHOTO if len(blob) == 1 else self.layout
        split = split_batch(model.network.run(blob), len(blob), model.anchors, layout)
        return [
            decode_outputs(own, shape, self._head, self._min_score).placed(
                canvas.scale, canvas.margin
            )
            for own, canvas in zip(split, canvases, strict=False)
        ]

    @cached_property
    def _batch_of(self) -> int:
        """Photos per call: the batch size, or 1 for a network that takes no batches."""
        if self._batch_size == 1 or self.layout is BatchLayout.UNSUPPORTED:
            return 1
        return self._batch_size

    @cached_property
    def layout(self) -> BatchLayout:
        """How the network lays out a batch; found once, by trying."""
        side = 2 * max(self._model.strides)
        canvas = self._model.fixed_size or (side, side)
        return find_layout(self._model.network.run, canvas, self._model.anchors)


def _lay_out(photo: Photo, canvas: Canvas) -> Photo:
    """Resize a photo and put it on a black canvas."""
    scale, margin = canvas.scale, canvas.margin
    while scale <= 0.5 and min(photo.shape[:2]) > 1:
        photo, scale = halve(photo), scale * 2.0
    height = max(1, round(photo.shape[0] * scale))
    width = max(1, round(photo.shape[1] * scale))
    laid_out = np.zeros((canvas.height, canvas.width, 3), dtype=np.uint8)
    inside = laid_out[margin : margin + height, margin : margin + width]
    inside[:] = cv2.resize(photo, (width, height))
    return laid_out


def _round_up(length: float, step: int) -> int:
    """``length`` rounded to pixels, then up to a multiple of ``step``."""
    return max(1, math.ceil(round(length) / step)) * step
