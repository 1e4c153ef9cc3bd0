"""Which anchors answer for which face, and the detector's loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from training.demo_pack.detector import ANCHORS, STRIDES

Floats = npt.NDArray[np.floating[Any]]

# Face sizes (square root of the box area, pixels at 320) where one anchor hands over to the next.
_HANDOVER = (0.0, 30.0, 48.0, 76.0, 118.0, 180.0, 1e9)
_SHARED = 1.12
_LANDMARK_WEIGHT = 5.0
_BETA = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """All anchors of a square input: ``centre`` (a, 2) pixels, ``stride`` and ``slot`` (a,).

    ``slot`` counts the size classes from 0 (smallest anchor of stride 8) to 5.
    """

    centre: Floats
    stride: Floats
    slot: npt.NDArray[np.int64]


def make_grid(side: int) -> Grid:
    """Return the anchors of an input of ``side`` pixels, in the order of the outputs."""
    centres, strides, slots = [], [], []
    for level, stride in enumerate(STRIDES):
        cells = side // stride
        y, x = np.mgrid[0:cells, 0:cells]
        points = np.stack([x, y], axis=-1).reshape(-1, 2) * stride
        centres.append(np.repeat(points, ANCHORS, axis=0))
        strides.append(np.full(len(points) * ANCHORS, stride))
        slots.append(np.tile(np.arange(ANCHORS) + ANCHORS * level, len(points)))
    return Grid(
        centre=np.concatenate(centres).astype(np.float32),
        stride=np.concatenate(strides).astype(np.float32),
        slot=np.concatenate(slots),
    )


def assign(faces: Floats, grid: Grid) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return for each anchor the index of its face or -1, and whether to ignore its score.

    An anchor answers for a face of its size class whose centre is near. Anchors of a neighbouring
    class, when the size is close to the handover, and anchors on the face's rim are ignored.
    """
    owner = np.full(len(grid.slot), -1, dtype=np.int64)
    ignore = np.zeros(len(grid.slot), dtype=bool)
    for index, face in enumerate(faces):
        middle = np.array([(face[0] + face[2]) / 2, (face[1] + face[3]) / 2])
        size = float(np.sqrt((face[2] - face[0]) * (face[3] - face[1])))
        far = np.abs(grid.centre - middle).max(axis=1)
        reach = np.minimum(np.maximum(0.51 * grid.stride, 0.20 * size), 1.3 * grid.stride)
        low, high = np.take(_HANDOVER, grid.slot), np.take(_HANDOVER, grid.slot + 1)
        fits = (size >= low) & (size < high)
        nearly = (size >= low / _SHARED) & (size < high * _SHARED)
        chosen = fits & (far <= reach)
        owner[chosen] = index
        ignore |= (nearly & (far <= 1.9 * reach)) & ~chosen
    ignore &= owner < 0
    return owner, ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Targets of one batch.

    ``positive`` and ``counted`` (n, a) bool; ``boxes`` (p, 4) and ``landmarks`` (p, 10) are
    distances in units of the stride and ``size`` (p,) the face size likewise, for the p positives.
    """

    positive: torch.Tensor
    counted: torch.Tensor
    boxes: torch.Tensor
    landmarks: torch.Tensor
    size: torch.Tensor


def make_batch(faces: list[Floats], grid: Grid) -> Batch:
    """Return the targets of a list of pictures' faces, each (k, 14) in pixels."""
    owners, ignores = zip(*(assign(rows, grid) for rows in faces), strict=True)
    owner, ignore = np.stack(owners), np.stack(ignores)
    picture, anchor = np.nonzero(owner >= 0)
    found = [faces[p][owner[p, a]] for p, a in zip(picture, anchor, strict=True)]
    rows = np.array(found, dtype=np.float32).reshape(-1, 14)
    centre, stride = grid.centre[anchor], grid.stride[anchor][:, None]
    boxes = np.concatenate([centre - rows[:, :2], rows[:, 2:4] - centre], axis=1) / stride
    landmarks = (rows[:, 4:] - np.tile(centre, 5)) / stride
    sides = rows[:, 2:4] - rows[:, :2]
    size = np.sqrt(sides.prod(axis=1)) / stride[:, 0]
    return Batch(
        positive=torch.from_numpy(owner >= 0),
        counted=torch.from_numpy(~ignore),
        boxes=torch.from_numpy(np.maximum(boxes, 0.01)),
        landmarks=torch.from_numpy(landmarks),
        size=torch.from_numpy(size),
    )


def detection_loss(
    outputs: tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]], batch: Batch
) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the loss and its parts: focal score loss, GIoU of boxes, smooth L1 of landmarks.

    Landmark errors are in units of the face size, so that all sizes count alike.
    """
    scores, boxes, landmarks = (torch.cat(part, dim=1) for part in outputs)
    count = batch.positive.sum().clamp(min=1)
    score_loss = _focal(scores.squeeze(2), batch) / count
    box_loss = (1 - _giou(boxes[batch.positive], batch.boxes)).sum() / count
    off = (landmarks[batch.positive] - batch.landmarks) / batch.size[:, None]
    zero = torch.zeros_like(off)
    mark_loss = functional.smooth_l1_loss(off, zero, beta=_BETA, reduction="sum") / (10 * count)
    total = score_loss + box_loss + 10 * _LANDMARK_WEIGHT * mark_loss
    return total, {
        "score": score_loss.item(), "box": box_loss.item(), "landmark": mark_loss.item()
    }  # fmt: skip


def _focal(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    target = batch.positive.float()
    probability = torch.sigmoid(logits)
    weight = (target - probability).abs() ** 2 * batch.counted
    return (
        weight * functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    ).sum()


def _giou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the generalised IoU of boxes given as distances from one point (arXiv:1902.09630)."""
    inner = torch.minimum(a, b)
    outer = torch.maximum(a, b)
    both = (inner[:, 0] + inner[:, 2]) * (inner[:, 1] + inner[:, 3])
    area_a = (a[:, 0] + a[:, 2]) * (a[:, 1] + a[:, 3])
    area_b = (b[:, 0] + b[:, 2]) * (b[:, 1] + b[:, 3])
    either = area_a + area_b - both
    hull = (outer[:, 0] + outer[:, 2]) * (outer[:, 1] + outer[:, 3])
    return both / either - (hull - either) / hull
