"""Pixels by the header alone: of every format that is known, and of headers that lie."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crawlers.content import sniff_image
from crawlers.pixels import MAX_PIXELS, count_pixels


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_every_format_gives_its_pixels(kind: str) -> None:
    encoded = io.BytesIO()
    Image.new("RGB", (37, 21), (200, 10, 10)).save(encoded, kind)
    body = encoded.getvalue()
    media_type = sniff_image(body)
    assert media_type is not None
    assert count_pixels(body, media_type) == 37 * 21


def test_a_jpeg_with_much_before_its_frame_gives_its_pixels() -> None:
    encoded = io.BytesIO()
    options = {"exif": b"Exif\0\0" + bytes(9_000), "progressive": True, "comment": b"\xff\xc0" * 99}
    Image.new("L", (40, 30)).save(encoded, "JPEG", **options)
    assert count_pixels(encoded.getvalue(), "image/jpeg") == 1_200


@pytest.mark.parametrize("side", [10_001, 60_000])
def test_a_bomb_is_known_by_its_header(side: int) -> None:
    size = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", size) + _chunk(b"IDAT", zlib.compress(bytes(9)))
    pixels = count_pixels(body, "image/png")
    assert pixels is not None
    assert pixels > MAX_PIXELS


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["image/jpeg", "image/png", "image/x"]))
def test_any_bytes_give_a_number_or_none(tail: bytes, media_type: str) -> None:
    pixels = count_pixels(b"\xff\xd8\xff" + tail, media_type)
    assert pixels is None or pixels >= 0
