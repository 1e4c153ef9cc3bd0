"""Verification sets: what insightface writes is read, and nothing a pickle could do is done."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facedata.errors import RequestError
from training.evaluate.verification_bin import read_bin, write_bin


def encoded(shade: int, size: tuple[int, int] = (112, 112), form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, (shade, 0, 200)).save(stream, form)
    return stream.getvalue()


IMAGES = [encoded(shade) for shade in range(4)]
SAME = [True, False]


def write(tmp_path: Path, content: Any, protocol: int = 4) -> Path:
    path = tmp_path / "set.bin"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return path


def test_a_written_set_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lfw.bin"
    write_bin(path, IMAGES, SAME)

    found = read_bin(path)

    assert (found.name, found.images, found.same.tolist()) == ("lfw", tuple(IMAGES), SAME)


def test_crops_are_bgr_in_blocks(tmp_path: Path) -> None:
    write_bin(tmp_path / "set.bin", IMAGES, SAME)
    blocks = list(read_bin(tmp_path / "set.bin").crops(at_once=3))
    assert [block.shape for block in blocks] == [(3, 112, 112, 3), (1, 112, 112, 3)]
    assert blocks[0].dtype == np.uint8
    assert blocks[0][2, 5, 7].tolist() == [200, 0, 2]


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_every_protocol_that_keeps_bytes(tmp_path: Path, protocol: int) -> None:
    assert len(read_bin(write(tmp_path, (IMAGES, SAME), protocol)).images) == 4


def test_a_file_of_python_2_is_read(tmp_path: Path) -> None:
    """Protocol 2 as Python 2 writes it: strings are BINSTRING."""
    strings = b"".join(b"T" + struct.pack("<i", len(image)) + image for image in IMAGES)
    data = b"\x80\x02(](" + strings + b"e](\x88\x89et."
    assert read_bin(write(tmp_path, data)).images == tuple(IMAGES)


def test_repeated_images_are_one_object(tmp_path: Path) -> None:
    images = [IMAGES[0]] * 4
    assert read_bin(write(tmp_path, (images, SAME))).images == tuple(images)


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("place", ["whole", "images", "image", "answer"])
@pytest.mark.parametrize("function", [os.system, builtins.eval, builtins.exec])
def test_no_call_is_made(tmp_path: Path, protocol: int, place: str, function: Any) -> None:
    mark = tmp_path / "called"
    text = f"touch {mark}" if function is os.system else f"open({str(mark)!r}, 'w')"
    call = Calls(function, text)
    content: Any = {
        "whole": call,
        "images": (call, SAME),
        "image": ([*IMAGES[:3], call], SAME),
        "answer": (IMAGES, [True, call]),
    }[place]

    with pytest.raises(RequestError, match="not a verification set: opcode"):
        read_bin(write(tmp_path, content, protocol))

    assert not mark.exists()


@pytest.mark.parametrize(
    ("data", "opcode"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "GLOBAL"),
        (b"(S'true'\nios\nsystem\n.", "STRING"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"Pid\n.", "PERSID"),
        (b"\x80\x02]\x51.", "BINPERSID"),
        (b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".", "not a whole"),
        (b"\x80\x04B" + struct.pack("<I", 0xFFFFFFF0) + b"x.", "not a whole"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"x.", "not a whole"),
        (b"\x80\x04]r" + struct.pack("<I", 0xFFFFFFF0) + b".", "memo entry 4294967280"),
        (b"\x80\x04\x95" + struct.pack("<Q", 1 << 63) + b"].", "not a whole"),
        (b"\x80\x04\x95" + struct.pack("<Q", (1 << 64) - 1) + b"].", "not a whole"),
        (b"\x80\x04}.", "EMPTY_DICT"),
        (b"\x80\x04\x8f.", "EMPTY_SET"),
        (b"\x80\x04\x88\x88a.", "not a verification set"),
        (b"\x80\x04h\x07.", "not a whole"),
        (b"\x80\x04]", "not a whole"),
        (b"", "not a whole"),
        (b"\xff\xd8\xff\xe0 a photo", "not a whole"),
    ],
)  # fmt: skip
def test_other_opcodes_and_huge_counts_are_refused(
    tmp_path: Path, data: bytes, opcode: str
) -> None:
    with pytest.raises(RequestError, match=opcode):
        read_bin(write(tmp_path, data))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2, 3], "opcode BININT1"),
        ((IMAGES, np.array(SAME)), "opcode"),
        ((IMAGES, [np.True_, np.False_]), "opcode"),
        ((IMAGES, [1, 0]), "opcode BININT1"),
        ((IMAGES, SAME, []), "opcode TUPLE3"),
        ((IMAGES[:3], SAME), r"3 images for 2 answers"),
        (([], []), r"0 images for 0 answers"),
        (([True, *IMAGES[:3]], SAME), "image 0 is a bool"),
        (([[IMAGES[0]], *IMAGES[:3]], SAME), "image 0 is a list"),
        (([b"", *IMAGES[:3]], SAME), "image 0 is 0 bytes"),
        (([bytes((1 << 20) + 1), *IMAGES[:3]], SAME), "image 0 is 1048577 bytes"),
        ((IMAGES, [True, b"no"]), "answer 1 is 2 bytes"),
        ((IMAGES, (True, False)), "list and tuple instead of two lists"),
        ([], "a list instead of images and answers"),
    ],
)
def test_other_contents_are_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_bin(write(tmp_path, content))


def test_deep_nesting_is_not_followed(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="not a verification set"):
        read_bin(write(tmp_path, b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b"."))


@given(data=st.binary(max_size=60), whole=st.booleans())
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, whole: bool
) -> None:
    path = tmp_path_factory.mktemp("bin") / "any.bin"
    path.write_bytes(b"\x80\x04" + data + b"." if whole else data)
    with pytest.raises(RequestError):
        read_bin(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"none\.bin: cannot be read"):
        read_bin(tmp_path / "none.bin")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


BOMB = zlib.compress(bytes(80 << 20), 9)
HEAD = 33
"""Bytes of a PNG's signature and IHDR."""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (encoded(1, (96, 112)), "image 1 is 96×112"),
        (encoded(1, (20_000, 20_000)), "image 1"),
        (b"no image", "image 1 cannot be decoded"),
        (IMAGES[0][:-30], "image 1 cannot be decoded"),
        (encoded(1, form="GIF"), "image 1 cannot be decoded"),
        (IMAGES[0][:HEAD] + chunk(b"zTXt", b"a\0\0" + BOMB) + IMAGES[0][HEAD:], "image 1 cannot"),
        (IMAGES[0][:8] + chunk(b"IHDR", bytes(5)) + IMAGES[0][HEAD:], "image 1 cannot"),
        (encoded(1, (10_000, 10_000)), "image 1 is 10000×10000"),
    ],
    ids=["narrow", "huge", "text", "cut", "gif", "zTXt bomb", "short IHDR", "warned of"],
)
def test_images_that_are_no_crops_are_named(tmp_path: Path, image: bytes, message: str) -> None:
    write_bin(tmp_path / "set.bin", [IMAGES[0], image], [True])
    with pytest.raises(RequestError, match=message):
        list(read_bin(tmp_path / "set.bin").crops())
