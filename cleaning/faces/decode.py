"""Encoded images to upright RGB pixels, with limits that hold before anything is decoded."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from facedata.ledger import Reason

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""What is decoded, as Pillow names it; AVIF only where Pillow was built with it."""

# Everything Pillow's readers are known to raise on broken bytes, beside OSError.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    RuntimeError,
    OverflowError,
    struct.error,
    UnidentifiedImageError,
)
_ORIENTATION_TAG = 0x0112
_EXIF_IFD = 0x8769
_TAKEN_TAG = 0x9003
_FIRST_YEAR, _LAST_YEAR = 1830, 2200
_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}
_JPEG_END = b"\xff\xd9"
_PADDED = 64
"""Bytes at the end in which a JPEG's end marker may be followed by zeros."""


# What these would print on standard error is either decided by the limits below, or about
# metadata that does not concern the pixels.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class DecodeFailure(Exception):  # noqa: N818 - an outcome with a reason, caught in this room
    """The image cannot be used; ``reason`` is ``EMPTY_FILE``, ``UNREADABLE`` or ``TOO_LARGE``."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """The largest image accepted: encoded bytes, and pixels by its header."""

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 100_000_000


def count_pixels(data: bytes, limits: DecodeLimits) -> int:
    """Read the number of pixels from the header; nothing is decoded.

    Raises:
        DecodeFailure: the image is empty, not an accepted format, or above a limit.
    """
    with _open(data, limits) as image:
        return image.width * image.height


def decode_image(data: bytes, limits: DecodeLimits) -> Pixels:
    """Decode to upright RGB, uint8 (height, width, 3).

    EXIF rotation is applied, transparency is laid on white, 16-bit samples are scaled to 8, CMYK
    and palettes are converted, and of an animation the first frame is taken. A truncated file is
    unreadable, also when a part of it could be shown: half a face must not pass for a face.

    Raises:
        DecodeFailure: the image is empty, cannot be decoded whole, or is above a limit.
    """
    with _open(data, limits) as image:
        try:
            pixels = _decode_plain_jpeg(data, image)
            if pixels is None:
                pixels = _to_rgb(image)
            turn = _TURNS.get(_orientation(image))
        except _BROKEN as error:
            raise DecodeFailure(Reason.UNREADABLE) from error
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def read_taken_year(data: bytes, limits: DecodeLimits) -> int | None:
    """Read the year in which the camera says the photo was taken, from the header's EXIF data.

    Raises:
        DecodeFailure: the image is empty, not an accepted format, or above a limit.
    """
    with _open(data, limits) as image:
        try:
            taken = image.getexif().get_ifd(_EXIF_IFD).get(_TAKEN_TAG)
            year = int(str(taken)[:4]) if taken else 0
        except _BROKEN:
            return None
    return year if _FIRST_YEAR <= year <= _LAST_YEAR else None


def _open(data: bytes, limits: DecodeLimits) -> Image.Image:
    if not data:
        raise DecodeFailure(Reason.EMPTY_FILE)
    if len(data) > limits.max_bytes:
        raise DecodeFailure(Reason.TOO_LARGE)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise DecodeFailure(Reason.TOO_LARGE) from error
    except _BROKEN as error:
        raise DecodeFailure(Reason.UNREADABLE) from error
    if image.width * image.height > limits.max_pixels:
        image.close()
        raise DecodeFailure(Reason.TOO_LARGE)
    if min(image.size) < 1:
        image.close()
        raise DecodeFailure(Reason.UNREADABLE)
    return image


def _decode_plain_jpeg(data: bytes, image: Image.Image) -> Pixels | None:
    """Decode grey and YCbCr JPEG with OpenCV: the same pixels as Pillow's, 1.4 times as fast.

    Returns None where the two could differ: other colour spaces, and files that do not end in
    the end marker, on which OpenCV builds disagree.
    """
    plain = image.format == "JPEG" and image.mode in ("RGB", "L")
    if not plain or not data[-_PADDED:].rstrip(b"\0").endswith(_JPEG_END):
        return None
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    if pixels is None or pixels.shape[:2] != (image.height, image.width):
        return None
    return np.asarray(pixels, dtype=np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except _BROKEN:
        # A broken EXIF block says nothing about the pixels.
        return 1


def _to_rgb(image: Image.Image) -> Pixels:
    image.seek(0)
    image.load()
    if image.mode.startswith("I"):
        return _scale_grey(image)
    if image.mode == "F":
        raise ValueError("floating-point samples have no defined white")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image.alpha_composite(layer)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _scale_grey(image: Image.Image) -> Pixels:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion clips at 255 instead."""
    samples = np.asarray(image).astype(np.float64)
    grey = np.round(np.clip(samples / 257.0, 0.0, 255.0)).astype(np.uint8)
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
