from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, features

from cleaning.faces.decode import (
    DecodeFailure,
    DecodeLimits,
    count_pixels,
    decode_image,
    read_taken_year,
)
from facedata.ledger import Reason

LIMITS = DecodeLimits()
_AVIF = ["AVIF"] if features.check("avif") else []
Encode = Callable[..., bytes]


@pytest.fixture(scope="module")
def gradient() -> NDArray[np.uint8]:
    """40×60, smooth, different at every corner."""
    rows, columns = np.mgrid[:40, :60]
    channels = [rows * 6, columns * 4, 255 - rows * 3 - columns * 2]
    return np.stack(channels, axis=-1).clip(0, 255).astype(np.uint8)


def reason_of(data: bytes, limits: DecodeLimits = LIMITS) -> Reason:
    with pytest.raises(DecodeFailure) as caught:
        decode_image(data, limits)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_give_the_same_pixels(
    kind: str, gradient: NDArray[np.uint8], encode: Encode
) -> None:
    assert np.array_equal(decode_image(encode(gradient, kind), LIMITS), gradient)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_lossy_formats_come_close(kind: str, gradient: NDArray[np.uint8], encode: Encode) -> None:
    if kind == "AVIF" and not _AVIF:
        pytest.skip("this Pillow cannot read AVIF")
    decoded = decode_image(encode(gradient, kind, quality=95), LIMITS)
    assert decoded.shape == gradient.shape
    assert np.abs(decoded.astype(int) - gradient).mean() < 4


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_fast_way_for_jpeg_gives_pillow_s_pixels(
    mode: str, progressive: bool, subsampling: int, gradient: NDArray[np.uint8], encode: Encode
) -> None:
    image = Image.fromarray(gradient).convert(mode)
    data = encode(image, "JPEG", quality=80, subsampling=subsampling, progressive=progressive)
    pillow = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(decode_image(data, LIMITS), pillow)
    # Trailing bytes make it take Pillow's way.
    assert np.array_equal(decode_image(data + b"trailer", LIMITS), pillow)
    assert np.array_equal(decode_image(data + bytes(9), LIMITS), pillow)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int, kind: str, encode: Encode) -> None:
    # A white quarter at the upper left of the upright picture, turned as a camera stores it.
    upright = np.zeros((32, 64, 3), dtype=np.uint8)
    upright[:16, :32] = 255
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(np.ascontiguousarray(stored), kind, exif=exif, **options)
    decoded = decode_image(data, LIMITS)
    assert decoded.shape == upright.shape
    assert decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int) - upright).max() <= 2


def test_broken_exif_does_not_hide_the_picture(gradient: NDArray[np.uint8], encode: Encode) -> None:
    plain = encode(gradient, "JPEG")
    block = b"Exif\0\0I\x01" + bytes(12)
    marked = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]
    assert np.array_equal(decode_image(marked, LIMITS), decode_image(plain, LIMITS))


@pytest.mark.parametrize(
    ("noted", "year"),
    [("2011:03:04 05:06:07", 2011), ("0000:00:00 00:00:00", None), ("unknown", None), (None, None)],
)
def test_the_year_a_photo_was_taken(
    noted: str | None, year: int | None, gradient: NDArray[np.uint8], encode: Encode
) -> None:
    exif = Image.Exif()
    if noted is not None:
        exif.get_ifd(0x8769)[0x9003] = noted
    assert read_taken_year(encode(gradient, "JPEG", exif=exif), LIMITS) == year


def test_cmyk_is_converted(gradient: NDArray[np.uint8], encode: Encode) -> None:
    cmyk = Image.fromarray(gradient).convert("CMYK")
    decoded = decode_image(encode(cmyk, "JPEG", quality=95), LIMITS)
    assert np.abs(decoded.astype(int) - gradient).mean() < 4


def test_sixteen_bit_grey_is_scaled_not_clipped(encode: Encode) -> None:
    grey = np.array([[0, 257, 25700, 65535]], dtype=np.uint16)
    decoded = decode_image(encode(grey, "PNG"), LIMITS)
    assert decoded.tolist() == [[[0] * 3, [1] * 3, [100] * 3, [255] * 3]]


def test_sixteen_bit_rgb() -> None:
    row = struct.pack(">6H", 0, 25700, 65535, 51400, 257, 0)

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = chunk(b"IHDR", struct.pack(">2I5B", 2, 1, 16, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + row))
    data = b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")
    assert decode_image(data, LIMITS).tolist() == [[[0, 100, 255], [200, 1, 0]]]


def test_palette_transparency_lies_on_white(encode: Encode) -> None:
    image = Image.new("P", (4, 2), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((3, 1), 1)
    decoded = decode_image(encode(image, "PNG", transparency=0), LIMITS)
    assert decoded[0, 0].tolist() == [255, 255, 255]
    assert decoded[1, 3].tolist() == [200, 100, 50]


def test_half_transparency_is_blended_on_white(encode: Encode) -> None:
    image = Image.new("RGBA", (2, 2), (0, 0, 0, 127))
    assert np.abs(decode_image(encode(image), LIMITS).astype(int) - 128).max() <= 1


def test_grey_with_alpha_and_one_bit(encode: Encode) -> None:
    assert (
        decode_image(encode(Image.new("LA", (2, 2), (90, 255))), LIMITS).tolist()
        == [[[90] * 3] * 2] * 2
    )
    assert decode_image(encode(Image.new("1", (1, 1), 1)), LIMITS).tolist() == [[[255] * 3]]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(kind: str, encode: Encode) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert decode_image(data, LIMITS)[0, 0].tolist() == [255, 0, 0]


def test_float_samples_are_unreadable(encode: Encode) -> None:
    assert reason_of(encode(np.ones((4, 4), dtype=np.float32), "TIFF")) is Reason.UNREADABLE


def test_no_bytes() -> None:
    assert reason_of(b"") is Reason.EMPTY_FILE


@pytest.mark.parametrize("data", [b"<html>404</html>", b"\xff\xd8\xff", b"\0" * 100, b"RIFF"])
def test_not_an_image(data: bytes) -> None:
    assert reason_of(data) is Reason.UNREADABLE


def test_formats_outside_the_list_are_unreadable(
    gradient: NDArray[np.uint8], encode: Encode
) -> None:
    assert reason_of(encode(gradient, "PPM")) is Reason.UNREADABLE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("part", [0.2, 0.6, 0.9])
def test_truncated_files_are_unreadable(part: float, kind: str, encode: Encode) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encode(noise, kind)
    assert reason_of(data[: int(len(data) * part)]) is Reason.UNREADABLE


def test_limits(gradient: NDArray[np.uint8], encode: Encode) -> None:
    data = encode(gradient)
    assert count_pixels(data, LIMITS) == 2400
    assert decode_image(data, DecodeLimits(max_pixels=2400)).shape == (40, 60, 3)
    assert reason_of(data, DecodeLimits(max_pixels=2399)) is Reason.TOO_LARGE
    assert decode_image(data, DecodeLimits(max_bytes=len(data))).shape == (40, 60, 3)
    assert reason_of(data, DecodeLimits(max_bytes=len(data) - 1)) is Reason.TOO_LARGE


@pytest.mark.parametrize("side", [11_000, 40_000])
def test_a_bomb_is_refused_from_its_header(side: int) -> None:
    header = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + checksum
    data += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    assert reason_of(data) is Reason.TOO_LARGE


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", *_AVIF]),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4),
    cut=st.integers(0, 10_000),
)
def test_damaged_bytes_give_pixels_or_a_reason(
    kind: str, flips: list[tuple[int, int]], cut: int
) -> None:
    stream = io.BytesIO()
    rows, columns = np.mgrid[:24, :31]
    Image.fromarray((rows * 7 + columns * 3).astype(np.uint8)).save(stream, kind)
    data = bytearray(stream.getvalue())
    for place, value in flips:
        data[place % len(data)] ^= value
    reason, decoded = None, None
    try:
        decoded = decode_image(bytes(data[: max(1, len(data) - cut % 40)]), LIMITS)
    except DecodeFailure as failure:
        reason = failure.reason
    if decoded is None:
        assert reason in (Reason.UNREADABLE, Reason.TOO_LARGE)
    else:
        assert decoded.dtype == np.uint8
        assert decoded.ndim == 3
