"""Aligned face crops encoded as JPEG: for training, and small for a page."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from facedata.errors import IntegrityError

_PAGE_SIDE = 96
_PAGE_QUALITY = 82


def to_jpeg(crop: bytes, *, quality: int, side: int | None = None) -> bytes:
    """Encode a crop as JPEG without chroma subsampling; the same bytes every time.

    Args:
        crop: PNG, or any format OpenCV reads.
        quality: 0 to 100.
        side: width and height to scale to, in pixels; unchanged when not given.

    Raises:
        IntegrityError: when the crop is not an image.
    """
    pixels = cv2.imdecode(np.frombuffer(crop, dtype=np.uint8), cv2.IMREAD_COLOR) if crop else None
    if pixels is None:
        raise IntegrityError(
            f"face crop of {len(crop)} bytes is not an image; run the faces stage again"
        )
    if side is not None:
        pixels = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling])
    return bytes(encoded)


def to_data_uri(crop: bytes) -> str:
    """Return a crop as a small image inside a page (about 4 KB of text).

    Raises:
        IntegrityError: when the crop is not an image.
    """
    jpeg = to_jpeg(crop, quality=_PAGE_QUALITY, side=_PAGE_SIDE)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
