"""Frames of RecordIO files: whatever was written is read, and damage costs one record."""

from __future__ import annotations

import io
import os
import struct
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaning.export.recordio import frame
from crawlers.importers import record_file
from crawlers.importers.record_file import MAGIC, BrokenFrame, Frame, cut_front, read_frames
from facedata.errors import SourceError
from facedata.location import ByteRange, range_location, read_bytes

WORD = struct.pack("<I", MAGIC)
PIECES = st.lists(st.one_of(st.just(WORD), st.binary(max_size=9)), max_size=12)
PAYLOADS = st.lists(PIECES.map(b"".join), max_size=6)


def read(data: bytes) -> list[Frame | BrokenFrame]:
    return list(read_frames(io.BytesIO(data), len(data)))


def payloads(found: list[Frame | BrokenFrame]) -> list[bytes]:
    return [item.data for item in found if isinstance(item, Frame)]


def problems(found: list[Frame | BrokenFrame]) -> list[tuple[int, str]]:
    return [(item.offset, item.problem) for item in found if isinstance(item, BrokenFrame)]


@given(PAYLOADS)
def test_what_is_written_is_read(written: list[bytes]) -> None:
    found = read(b"".join(map(frame, written)))
    assert payloads(found) == written
    assert problems(found) == []


@settings(max_examples=50)
@given(PAYLOADS, st.integers(0, 8))
def test_ranges_of_the_file_join_to_the_data(
    tmp_path_factory: pytest.TempPathFactory, written: list[bytes], skipped: int
) -> None:
    path = tmp_path_factory.mktemp("rec") / "a.rec"
    path.write_bytes(b"".join(map(frame, written)))
    for item, data in zip(read(path.read_bytes()), written, strict=True):
        assert isinstance(item, Frame)
        assert read_bytes(range_location(item.ranges, str(path))) == data
        rest = cut_front(item.ranges, skipped)
        assert read_bytes(range_location(rest, str(path))) == data[skipped:]


def test_parts_are_those_of_the_format() -> None:
    """Bytes that MXNet 1.9.1 wrote, with three of its words in the data."""
    data = bytes.fromhex(
        "0a23d7ce 04000020 61626364 0a23d7ce 00000040 0a23d7ce 00000040 0a23d7ce 02000060 78790000"
    )
    [found] = read(data)
    assert isinstance(found, Frame)
    assert found.data == b"abcd" + 3 * WORD + b"xy"
    assert frame(found.data) == data
    assert found.ranges == (
        ByteRange(offset=8, length=4),
        ByteRange(offset=12, length=4),
        ByteRange(offset=20, length=4),
        ByteRange(offset=28, length=4),
        ByteRange(offset=36, length=2),
    )


ONE, TWO, THREE = frame(b"first record"), frame(b"2" * 21), frame(b"the third")


@pytest.mark.parametrize(
    ("damaged", "problem"),
    [
        (b"\0" * len(TWO), "0x00000000 where a record begins"),
        (struct.pack("<II", MAGIC, 7 << 29) + TWO[8:], "a part of kind 7 out of order"),
        (struct.pack("<II", MAGIC, 3 << 29 | 21) + TWO[8:], "a part of kind 3 out of order"),
        (struct.pack("<II", MAGIC, 2**29 - 1) + TWO[8:], "536870911 bytes, beyond the end of the"),
        (struct.pack("<II", MAGIC, 30) + TWO[8:], "30 bytes, beyond the beginning of the next"),
        (struct.pack("<II", MAGIC, 1 << 29 | 21) + TWO[8:], "a part of kind 0 out of order"),
        (TWO[:4], "a part of kind 6 out of order"),
    ],
)
def test_damage_costs_one_record(damaged: bytes, problem: str) -> None:
    found = read(ONE + damaged + THREE)
    assert payloads(found) == [b"first record", b"the third"]
    [(offset, told)] = problems(found)
    assert offset == len(ONE)
    assert told.startswith(problem)


def test_a_length_too_short_leaves_the_rest_to_be_told_of() -> None:
    found = read(ONE + struct.pack("<II", MAGIC, 4) + TWO[8:] + THREE)
    assert payloads(found) == [b"first record", b"2222", b"the third"]
    assert len(problems(found)) == 1


@pytest.mark.parametrize("size", range(len(ONE + TWO + THREE) + 1))
def test_a_file_that_ends_early_keeps_its_whole_records(size: int) -> None:
    found = read((ONE + TWO + THREE)[:size])
    # The padding of the last record may be missing: 3 bytes of the second, 3 of the third.
    whole = sum(size >= end for end in (20, 20 + 29, 52 + 17))
    begun = sum(size > start for start in (0, 20, 52))
    assert payloads(found) == [b"first record", b"2" * 21, b"the third"][:whole]
    assert len(problems(found)) == begun - whole


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.just(WORD), st.binary(min_size=1, max_size=8)), max_size=40))
def test_any_bytes_are_read_to_their_end(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    covered = [item.offset for item in read(data)]
    assert covered == sorted(set(covered))
    assert (covered[0] == 0) if data else (covered == [])


def test_lying_lengths_cost_neither_memory_nor_much_time() -> None:
    lie = struct.pack("<II", MAGIC, 60 << 20)
    data = lie * 5_000 + os.urandom(61 << 20)
    tracemalloc.start()
    began = time.process_time()
    found = read(data)
    seconds = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(problems(found)) >= 4_999
    assert peak < 3 * record_file.MAX_IMAGE_BYTES
    assert seconds < 60


def test_a_record_of_many_parts_is_refused() -> None:
    [broken] = read(frame(WORD * 5_000))[:1]
    assert isinstance(broken, BrokenFrame)
    assert broken.problem == "more than 512 parts"


def test_a_record_too_large_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_file, "MAX_IMAGE_BYTES", 16)
    found = read(ONE + TWO + THREE)
    assert payloads(found) == [b"first record", b"the third"]
    [broken] = [item for item in found if isinstance(item, BrokenFrame)]
    assert broken.too_large
    assert broken.problem == "more than 16 bytes"


def test_a_file_of_something_else_is_refused() -> None:
    lies = struct.pack("<III", MAGIC, 1 << 29 | 4, 7) * 20_000
    with pytest.raises(SourceError, match=r"10000 places up to byte .* are no records"):
        read(lies)
