"""Face crops as small JPEG images for a page."""

from __future__ import annotations

import cv2
import numpy as np

from facedata.errors import IntegrityError

_QUALITY = 88


def to_jpeg(crop: bytes) -> bytes:
    """Encode a crop (PNG or any format OpenCV reads) as JPEG; the same bytes every time.

    Raises:
        IntegrityError: when the crop is not an image.
    """
    pixels = cv2.imdecode(np.frombuffer(crop, dtype=np.uint8), cv2.IMREAD_COLOR) if crop else None
    if pixels is None:
        raise IntegrityError(
            f"face crop of {len(crop)} bytes is not an image; run the faces stage again"
        )
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(encoded)
