"""SCRFD outputs to faces: anchor decoding and non-maximum suppression.

Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", ICLR 2022. Box
and landmark outputs are distances from the anchor centre in units of the stride.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_SUPPRESS_ABOVE = 0.4
"""Overlap (intersection over union) above which the weaker box goes; SCRFD's own value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """The faces of one photo by falling score.

    ``scores`` float32 (n,) in [0, 1]; ``boxes`` float32 (n, 4) as x1, y1, x2, y2; ``landmarks``
    float32 (n, 5, 2) in the order of ``align.TEMPLATE``; pixels.
    """

    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)

    def placed(self, scale: float, margin: int) -> Detections:
        """The same faces in the photo, which lies on the canvas at ``margin`` and ``scale``."""
        return Detections(
            scores=self.scores,
            boxes=(self.boxes - np.float32(margin)) / np.float32(scale),
            landmarks=(self.landmarks - np.float32(margin)) / np.float32(scale),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The geometry of a detector's outputs: strides of its feature maps, anchors per cell."""

    strides: tuple[int, ...]
    anchors: int


def decode_outputs(
    outputs: Sequence[NDArray[np.float32]],
    canvas: tuple[int, int],
    head: Head,
    min_score: float,
) -> Detections:
    """Turn one photo's outputs into faces with a score of at least ``min_score``.

    Args:
        outputs: scores (cells · anchors, 1) per stride, then boxes (…, 4), then landmarks
            (…, 10), each in row-major order of cells.
        canvas: width and height of the network's input in pixels.
    """
    levels = len(head.strides)
    scores, boxes, points = [], [], []
    for level, stride in enumerate(head.strides):
        found = outputs[level].reshape(-1)
        chosen = np.flatnonzero(found >= min_score)
        centres = _anchor_centres(canvas, stride, head.anchors)[chosen]
        reach = outputs[level + levels].reshape(-1, 4)[chosen] * np.float32(stride)
        scores.append(found[chosen])
        boxes.append(np.hstack([centres - reach[:, :2], centres + reach[:, 2:]]))
        offsets = outputs[level + 2 * levels].reshape(-1, 5, 2)[chosen] * np.float32(stride)
        points.append(centres[:, np.newaxis] + offsets)
    everything = Detections(
        scores=np.concatenate(scores),
        boxes=np.concatenate(boxes),
        landmarks=np.concatenate(points),
    )
    return suppress(everything)


def suppress(faces: Detections, above: float = _SUPPRESS_ABOVE) -> Detections:
    """Sort by falling score and drop faces that overlap a better one by more than ``above``.

    Equal scores keep their order. Overlaps count whole pixels (+1), as SCRFD's own code does.
    """
    order = np.argsort(-faces.scores, kind="stable")
    boxes = faces.boxes[order].astype(np.float64)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2] + 1.0, axis=1)
    alive = np.ones(len(order), dtype=bool)
    for index in range(len(order)):
        if not alive[index]:
            continue
        low = np.maximum(boxes[index, :2], boxes[index + 1 :, :2])
        high = np.minimum(boxes[index, 2:], boxes[index + 1 :, 2:])
        shared = np.prod(np.maximum(high - low + 1.0, 0.0), axis=1)
        overlap = shared / (areas[index] + areas[index + 1 :] - shared)
        alive[index + 1 :] &= overlap <= above
    kept = order[alive]
    return Detections(
        scores=faces.scores[kept], boxes=faces.boxes[kept], landmarks=faces.landmarks[kept]
    )


@lru_cache(maxsize=512)
def _anchor_centres(canvas: tuple[int, int], stride: int, anchors: int) -> NDArray[np.float32]:
    width, height = canvas[0] // stride, canvas[1] // stride
    rows, columns = np.mgrid[:height, :width]
    centres = np.stack([columns, rows], axis=-1).reshape(-1, 2) * stride
    return np.repeat(centres, anchors, axis=0).astype(np.float32)
