"""Crops that cannot be decoded, and why."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from facedata.errors import IntegrityError, RequestError
from training.data.decode import decode_crop, decode_on


def png(width: int, height: int) -> bytes:
    return bytes(cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1])


@pytest.mark.parametrize("data", [b"", b"x", png(112, 112)[:50]])
def test_what_is_no_image_is_named(data: bytes) -> None:
    with pytest.raises(IntegrityError, match=rf"crop 3: {len(data)} bytes that are no image"):
        decode_crop(data, "crop 3")


def test_a_header_that_claims_too_much_is_no_image() -> None:
    header = bytearray(png(112, 112))
    header[16:24] = (2**20).to_bytes(4, "big") * 2

    with pytest.raises(IntegrityError, match="bytes that are no image"):
        decode_crop(bytes(header), "crop 3")


def test_another_size_is_named() -> None:
    with pytest.raises(IntegrityError, match="crop 3: image of 64×32 pixels, expected 112×112"):
        decode_crop(png(64, 32), "crop 3")


@pytest.mark.parametrize(
    ("raised", "expected", "problem"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), torch.OutOfMemoryError, "out of memory"),
        (
            RuntimeError("decode_jpegs_cuda: torchvision not compiled with nvJPEG support"),
            RequestError,
            "built without nvJPEG .*; install one built with it, or set data.decode: cpu",
        ),
        (RuntimeError("Error while\ndecoding"), IntegrityError, r"2 crops cannot be decoded \(E"),
    ],
)
def test_what_a_gpu_decoder_says_is_told_apart(
    raised: Exception, expected: type, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise raised

    decoder = SimpleNamespace(decode_jpeg=failing, ImageReadMode=SimpleNamespace(RGB="RGB"))
    monkeypatch.setattr("training.data.decode.gpu_decoder", lambda: decoder)

    with pytest.raises(expected, match=problem):
        decode_on(torch.device("cpu"), [torch.zeros(3)] * 2, torch.zeros(2, dtype=torch.bool))
