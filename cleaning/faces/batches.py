"""How a detector's export lays out a batch, found by trying it.

SCRFD exports flatten the batch dimension into the rows of their outputs, in one of two ways that
neither the file's shapes nor its names tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from facedata.errors import ModelError

Outputs = list[NDArray[np.float32]]

_TOLERANCE = 1e-3
"""Largest difference of a raw output between a photo alone and in a batch."""


class BatchLayout(Enum):
    """Where the photos of a batch are in a detector's output rows."""

    PHOTO_BY_PHOTO = auto()
    CELL_BY_CELL = auto()
    """The photos' anchors of one cell side by side, then the next cell."""
    UNSUPPORTED = auto()
    """The network takes one photo at a time."""


def split_batch(
    outputs: Sequence[NDArray[np.float32]], photos: int, anchors: int, layout: BatchLayout
) -> list[Outputs]:
    """Give every photo of a batch its own outputs, each float32 (cells · anchors, k)."""
    split = []
    for output in outputs:
        width = output.shape[-1]
        if layout is BatchLayout.CELL_BY_CELL:
            cells = output.reshape(-1, photos, anchors, width)
            split.append(cells.transpose(1, 0, 2, 3).reshape(photos, -1, width))
        else:
            split.append(output.reshape(photos, -1, width))
    return [[output[photo] for output in split] for photo in range(photos)]


def find_layout(
    run: Callable[[NDArray[np.float32]], Outputs], canvas: tuple[int, int], anchors: int
) -> BatchLayout:
    """Run two different inputs alone and together, and see which layout gives the same rows.

    Args:
        run: the network, on float32 (n, 3, height, width).
        canvas: a width and height that it takes.
    """
    width, height = canvas
    probe = np.random.default_rng(0).standard_normal((2, 3, height, width), dtype=np.float32)
    alone = [run(probe[index : index + 1]) for index in range(2)]
    try:
        together = run(probe)
    except ModelError:
        return BatchLayout.UNSUPPORTED
    if [output.size for output in together] != [2 * output.size for output in alone[0]]:
        return BatchLayout.UNSUPPORTED
    fitting = [
        layout
        for layout in (BatchLayout.PHOTO_BY_PHOTO, BatchLayout.CELL_BY_CELL)
        if all(map(_same, split_batch(together, 2, anchors, layout), alone))
    ]
    # Where the answers are too alike to tell the layouts apart, nothing is assumed.
    return fitting[0] if len(fitting) == 1 else BatchLayout.UNSUPPORTED


def _same(rows: Outputs, alone: Outputs) -> bool:
    return all(
        np.allclose(row, own.reshape(row.shape), rtol=_TOLERANCE, atol=_TOLERANCE)
        for row, own in zip(rows, alone, strict=True)
    )
