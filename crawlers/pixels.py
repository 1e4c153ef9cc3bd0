"""How many pixels an image has, by its header: known before anything is decoded."""

from __future__ import annotations

import io
import struct
import warnings

from PIL import Image

MAX_PIXELS = 100_000_000
"""More are never decoded (``cleaning.faces.decode``)."""

# Of what the sniffer knows, what Pillow reads without a plug-in.
_FORMAT_OF = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
    "image/avif": "AVIF",
    "image/jp2": "JPEG2000",
}
# What Pillow's readers raise on broken headers, beside OSError.
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error)
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEGMENT_BYTES = 10

# The limit above decides; Pillow's own warning would only say so a second time.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def count_pixels(body: bytes, media_type: str) -> int | None:
    """Return width × height as the header announces them, ``None`` when it cannot be read.

    An image so large that Pillow refuses even to open it counts ``MAX_PIXELS`` + 1.
    """
    # Nearly every image is a JPEG, and Pillow reads all of its metadata before the size.
    if media_type == "image/jpeg" and (pixels := _jpeg_pixels(body)) is not None:
        return pixels
    if media_type not in _FORMAT_OF:
        return None
    try:
        with Image.open(io.BytesIO(body), formats=[_FORMAT_OF[media_type]]) as image:
            return image.width * image.height
    except Image.DecompressionBombError:
        return MAX_PIXELS + 1
    except _BROKEN:
        return None


def _jpeg_pixels(body: bytes) -> int | None:
    """Return the pixels of the first frame header (ITU-T T.81, B.2.2), passing over segments."""
    at = 2
    while at + _SEGMENT_BYTES <= len(body) and body[at] == 0xFF:
        marker = body[at + 1]
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", body, at + 5)
            return int(height) * int(width)
        if marker == 0xFF:
            at += 1
        else:
            at += 2 + int.from_bytes(body[at + 2 : at + 4], "big")
    return None
