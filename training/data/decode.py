"""From encoded crops to the input of a backbone."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from facedata.errors import IntegrityError, RequestError

SIDE = 112
"""Width and height of an aligned crop, in pixels."""


def decode_crop(data: bytes, origin: str) -> NDArray[np.uint8]:
    """Decode a crop to (112, 112, 3) uint8, RGB; ``origin`` names it in errors.

    Raises:
        IntegrityError: when it is no image, or not an aligned crop by its size.
    """
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # no bytes at all, or a header that claims more pixels than it may
        pixels = None
    if pixels is None:
        raise IntegrityError(
            f"{origin}: {len(data)} bytes that are no image; release the version again"
        )
    if pixels.shape != (SIDE, SIDE, 3):
        height, width = pixels.shape[:2]
        raise IntegrityError(
            f"{origin}: image of {width}×{height} pixels, expected {SIDE}×{SIDE}; "
            "train on a released version, whose crops are aligned"
        )
    return np.asarray(pixels, dtype=np.uint8)


def gpu_decoder() -> Any:
    """torchvision's ``io``, whose ``decode_jpeg`` is NVIDIA's nvJPEG on a GPU.

    Raises:
        RequestError: when torchvision is not installed, or cannot be loaded beside this torch.
    """
    try:
        return importlib.import_module("torchvision.io")
    except (ImportError, RuntimeError, OSError) as error:
        raise RequestError(
            f"data.decode gpu: torchvision cannot be used ({error}); install the one that belongs "
            "to this torch, or set data.decode: cpu"
        ) from error


def decode_on(
    device: torch.device, encoded: Sequence[torch.Tensor], mirrored: torch.Tensor
) -> torch.Tensor:
    """Decode JPEG crops on a device, all at once.

    Args:
        device: where; nvJPEG is used on a GPU.
        encoded: of each crop the bytes, (length,) uint8.
        mirrored: (n,) bool, which of them to turn over.

    Returns:
        (n, 112, 112, 3) uint8, RGB, on the device.

    Raises:
        IntegrityError: when one is no JPEG, or not an aligned crop by its size.
        RequestError: when this torchvision has no nvJPEG.
        torch.OutOfMemoryError: when the device has no memory left.
    """
    io = gpu_decoder()
    try:
        images = io.decode_jpeg(list(encoded), mode=io.ImageReadMode.RGB, device=device)
        crops: torch.Tensor = torch.stack(images)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise _undecoded(error, len(encoded)) from error
    if crops.shape[2:] != (SIDE, SIDE):
        raise IntegrityError(
            f"crops of {crops.shape[3]}×{crops.shape[2]} pixels, expected {SIDE}×{SIDE}; "
            "train on a released version, whose crops are aligned"
        )
    mask = mirrored.to(device).view(-1, 1, 1, 1)
    return torch.where(mask, crops.flip(3), crops).permute(0, 2, 3, 1)


def _undecoded(error: RuntimeError, count: int) -> IntegrityError | RequestError:
    """What torchvision's error means; a missing part of its build is told by its words alone."""
    reason = " ".join(str(error).split())
    if "not compiled with" in reason:
        return RequestError(
            f"data.decode gpu: this torchvision was built without nvJPEG ({reason:.200}); install "
            "one built with it, or set data.decode: cpu"
        )
    return IntegrityError(
        f"a batch of {count} crops cannot be decoded ({reason:.200}); data.decode: cpu names the "
        "one that is no JPEG"
    )


def network_input(images: torch.Tensor) -> torch.Tensor:
    """Turn crops (n, 112, 112, 3) uint8 RGB into (n, 3, 112, 112) float32 in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float().sub(127.5).div(127.5)
