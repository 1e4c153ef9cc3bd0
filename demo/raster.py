"""Pose, perspective and rasterising of grids: which grid cell does each pixel see, and how far."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from demo.arrays import Floats

FAR = 100.0
_COARSE = 62.0  # pixels per head unit below which every other grid line is enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Head rotation in radians: ``yaw`` > 0 turns to the picture's right, ``pitch`` > 0 down."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A pinhole camera that sees the head centre at ``x, y``, ``scale`` pixels per unit there.

    ``distance`` (head units) gives the strength of perspective.
    """

    x: float
    y: float
    scale: float
    distance: float

    def project(self, points: Floats) -> Floats:
        """Return pixel positions (n, 2) of posed points (n, 3)."""
        factor = self.scale * self.distance / (self.distance - points[:, 2:])
        return np.asarray(points[:, :2] * factor + (self.x, self.y), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragments:
    """What the pixels of a window see of one grid: fractional ``column``, ``row`` and ``depth``.

    All (height, width) float32; ``depth`` is the distance from the camera, :data:`FAR` where the
    grid is not seen.
    """

    column: Floats
    row: Floats
    depth: Floats


def rotation(pose: Pose) -> Floats:
    """Return the 3x3 matrix that turns column vectors by pitch, then yaw, then roll."""
    cy, sy = np.cos(pose.yaw), np.sin(pose.yaw)
    cp, sp = np.cos(pose.pitch), np.sin(pose.pitch)
    cr, sr = np.cos(pose.roll), np.sin(pose.roll)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    lean = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(lean @ turn @ nod, dtype=np.float32)


_PIVOT = np.array([0.0, 1.25, -0.35], dtype=np.float32)


def apply_pose(points: Floats, rest_y: Floats, pose: Pose, torso: Pose) -> Floats:
    """Turn a grid: the head by ``pose``, the chest by ``torso``, the neck in between."""
    share = np.clip((rest_y - 1.35) / 0.85, 0, 1)[..., None]
    share = share * share * (3 - 2 * share)
    centred = points - _PIVOT
    head = centred @ rotation(pose).T
    chest = centred @ rotation(torso).T
    return np.asarray(head * (1 - share) + chest * share + _PIVOT, dtype=np.float32)


def normals(points: Floats) -> Floats:
    """Return outward unit normals of a grid (rows, columns, 3)."""
    down = np.empty_like(points)
    down[1:-1] = points[2:] - points[:-2]
    down[0], down[-1] = points[1] - points[0], points[-1] - points[-2]
    right = np.empty_like(points)
    right[:, 1:-1] = points[:, 2:] - points[:, :-2]
    right[:, 0], right[:, -1] = points[:, 1] - points[:, 0], points[:, -1] - points[:, -2]
    cross = np.cross(right, down)
    length = np.sqrt((cross * cross).sum(axis=2, keepdims=True))
    return np.asarray(cross / np.maximum(length, 1e-9), dtype=np.float32)


@lru_cache(maxsize=16)
def _triangles(rows: int, columns: int) -> npt.NDArray[np.int32]:
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    c, d = index[1:, :-1].ravel(), index[1:, 1:].ravel()
    return np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])


@lru_cache(maxsize=16)
def _grid_colours(rows: int, columns: int) -> Floats:
    v, u = np.mgrid[0:rows, 0:columns].astype(np.float32)
    u, v = u / (columns - 1), v / (rows - 1)
    return np.ascontiguousarray(np.stack([u, v, u], axis=-1).reshape(-1, 3), dtype=np.float32)


def rasterise(
    points: Floats, camera: Camera, size: tuple[int, int], *, facing: bool = True
) -> Fragments:
    """Rasterise a posed grid into a window of ``size`` (height, width) with its corner at 0, 0.

    Rows and columns of the grid must be odd. ``facing`` selects the side that looks at the camera;
    otherwise the inner side is drawn.
    """
    height, width = size
    step = 2 if camera.scale < _COARSE else 1
    fine_rows, fine_columns = points.shape[:2]
    points = points[::step, ::step]
    focal = camera.scale * camera.distance
    depth = camera.distance - points[..., 2]
    flat = np.empty((points.shape[0] * points.shape[1], 3), dtype=np.float32)
    flat[:, 0] = (points[..., 0] + (camera.x - width / 2) * depth / focal).ravel()
    flat[:, 1] = -(points[..., 1] + (camera.y - height / 2) * depth / focal).ravel()
    flat[:, 2] = -depth.ravel()
    colour = np.zeros((height, width, 3), dtype=np.float32)
    seen = np.full((height, width), FAR, dtype=np.float32)
    rows, columns = points.shape[:2]
    cv2.triangleRasterize(
        flat, _triangles(rows, columns), _grid_colours(rows, columns), colour, seen,
        np.eye(4, dtype=np.float32), 2 * np.arctan(height / (2 * focal)), 0.5, FAR,
        _settings(facing),
    )  # fmt: skip
    return Fragments(
        column=colour[..., 0] * (fine_columns - 1), row=colour[..., 1] * (fine_rows - 1), depth=seen
    )


def _settings(facing: bool) -> Any:
    culling = cv2.RASTERIZE_CULLING_CW if facing else cv2.RASTERIZE_CULLING_CCW
    settings = cv2.TriangleRasterizeSettings().setCullingMode(culling)
    return settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)


def sample(grid: Floats, fragments: Fragments) -> Floats:
    """Return the grid's values (rows, columns[, channels]) at each pixel of the window."""
    return np.asarray(
        cv2.remap(grid, fragments.column, fragments.row, cv2.INTER_LINEAR), dtype=np.float32
    )
