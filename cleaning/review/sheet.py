"""Contact sheets: the faces of a gallery as one small JPEG, so that a page loads few images."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from facedata.errors import IntegrityError

CELL = 112
"""Side of a face on a sheet, pixels; aligned crops have this size."""
GAP = 4
"""White space between faces, pixels."""
MAX_COLUMNS = 6

_QUALITY = 78


def sheet_columns(faces: int) -> int:
    """Return in how many columns a sheet of so many faces is laid out."""
    return max(1, min(faces, MAX_COLUMNS))


def sheet_size(faces: int, columns: int) -> tuple[int, int]:
    """Return width and height in pixels of a sheet."""
    rows = max(1, -(-faces // columns))
    return columns * (CELL + GAP) - GAP, rows * (CELL + GAP) - GAP


def gallery_sheet(crops: Sequence[bytes], columns: int | None = None) -> bytes:
    """Return one JPEG of aligned crops, row by row on white; the same bytes every time.

    A single crop is returned at its own size, without a frame.

    Args:
        crops: at least one encoded image (PNG or any format OpenCV reads); another size than
            112×112 is scaled to it.
        columns: faces per row, at least 1; ``sheet_columns(len(crops))`` by default.

    Raises:
        IntegrityError: when a crop is not an image.
        ValueError: when there is no crop, or no column.
    """
    columns = sheet_columns(len(crops)) if columns is None else columns
    if not crops or columns < 1:
        raise ValueError(f"a sheet needs a crop and a column, not {len(crops)} and {columns}")
    width, height = sheet_size(len(crops), columns)
    sheet = np.full((height, width, 3), 255, dtype=np.uint8)
    for index, crop in enumerate(crops):
        top, left = ((CELL + GAP) * place for place in divmod(index, columns))
        sheet[top : top + CELL, left : left + CELL] = _pixels(crop, index)
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    _, encoded = cv2.imencode(".jpg", sheet, options)
    return bytes(encoded)


def _pixels(crop: bytes, index: int) -> npt.NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(crop, dtype=np.uint8), cv2.IMREAD_COLOR) if crop else None
    if pixels is None:
        raise IntegrityError(
            f"face crop {index} of a gallery, {len(crop)} bytes, is not an image; "
            "run the faces stage again"
        )
    if pixels.shape[:2] != (CELL, CELL):
        pixels = cv2.resize(pixels, (CELL, CELL), interpolation=cv2.INTER_AREA)
    return np.asarray(pixels, dtype=np.uint8)
