"""Verification sets in insightface's ``.bin`` files: their pairs, and the decoded crops."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facedata.errors import RequestError
from facedata.pair_file import read_pairs

CROP_SIZE = 112

_FORMATS = ("JPEG", "PNG", "BMP")
_BROKEN = (
    Image.DecompressionBombError,
    OSError,
    SyntaxError,
    ValueError,
    IndexError,
    struct.error,
    zlib.error,
)
"""What Pillow raises on files that are cut, damaged or made to be large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationSet:
    """``images`` are encoded 112×112 crops, 2n of them; ``same`` (n,) is about pairs 2i, 2i + 1."""

    name: str
    images: tuple[bytes, ...]
    same: NDArray[np.bool_]

    def crops(self, at_once: int = 256) -> Iterator[NDArray[np.uint8]]:
        """Decoded crops uint8 (k, 112, 112, 3) BGR, ``at_once`` at a time.

        Raises ``RequestError`` naming an image that cannot be decoded or has another size.
        """
        for start in range(0, len(self.images), at_once):
            some = self.images[start : start + at_once]
            yield np.stack(
                [_decode(data, self.name, start + index) for index, data in enumerate(some)]
            )


def read_bin(path: Path) -> VerificationSet:
    """Read a verification set; no image is decoded yet.

    Raises ``RequestError`` as ``facedata.pair_file.read_pairs`` does.
    """
    pairs = read_pairs(path)
    same = np.array(pairs.same, dtype=np.bool_)
    return VerificationSet(name=path.stem, images=pairs.images, same=same)


def write_bin(path: Path, images: Sequence[bytes], same: Sequence[bool]) -> None:
    """Write encoded images and answers as insightface does."""
    with path.open("wb") as stream:
        pickle.dump((list(images), [bool(answer) for answer in same]), stream, protocol=4)


def _decode(data: bytes, name: str, index: int) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            # Sizes are refused below: Pillow need not warn of large ones.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            rgb = _read_crop(data, f"{name}: image {index}")
    except _BROKEN as error:
        raise RequestError(
            f"{name}: image {index} cannot be decoded: {_line(error)}; fetch the set again"
        ) from error
    return np.ascontiguousarray(rgb[..., ::-1])


def _read_crop(data: bytes, what: str) -> NDArray[np.uint8]:
    # Opening reads the header only: a size that does not fit is never decoded.
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        if image.size != (CROP_SIZE, CROP_SIZE):
            raise RequestError(
                f"{what} is {image.width}×{image.height}; only aligned crops of "
                f"{CROP_SIZE}×{CROP_SIZE} are evaluated"
            )
        return np.asarray(image.convert("RGB"))


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
