from __future__ import annotations

import io

import pytest
from PIL import Image

from crawlers.content import sniff_image


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("GIF", "image/gif"),
        ("WEBP", "image/webp"),
        ("BMP", "image/bmp"),
        ("TIFF", "image/tiff"),
        ("AVIF", "image/avif"),
        ("JPEG2000", "image/jp2"),
    ],
)
def test_knows_what_real_encoders_write(name: str, media_type: str) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(stream, name)
    assert sniff_image(stream.getvalue()) == media_type


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"BM is how this text begins", b"%PDF-1.7", b"RIFF1234WAVE", b"\xff"]
)
def test_other_bytes_are_no_image(body: bytes) -> None:
    assert sniff_image(body) is None
