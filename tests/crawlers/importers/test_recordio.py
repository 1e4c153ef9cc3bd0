"""insightface's training sets: whose the images are, what is left out, and that bytes stay."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from cleaning.export.recordio import frame
from crawlers.importers.class_names import ClassNames, load_class_names
from crawlers.importers.listing import Import
from crawlers.importers.recordio import count_recordio, find_recordio
from facedata.errors import SourceError
from facedata.location import read_location
from facedata.records import ImageRecord


def record(number: int, labels: Sequence[float], image: bytes, flag: int | None = None) -> bytes:
    """A record as MXNet packs it: a single label in the header, several behind it."""
    flag = (len(labels) if len(labels) > 1 else 0) if flag is None else flag
    behind = struct.pack(f"<{len(labels)}f", *labels) if flag else b""
    return struct.pack("<IfQQ", flag, 0.0 if flag else labels[0], number, 0) + behind + image


def write_rec(folder: Path, records: Sequence[bytes], index: bool = True) -> Path:
    """Write records numbered from 0; returns the path of the ``.rec``."""
    path = folder / "train.rec"
    lines, data = [], b""
    for number, content in enumerate(records):
        lines.append(f"{number}\t{len(data)}\n")
        data += frame(content)
    path.write_bytes(data)
    if index:
        path.with_suffix(".idx").write_text("".join(lines))
    return path


IMAGES = (b"one", b"\x0a\x23\xd7\xce" * 3, b"three...", b"")
SET = (
    record(0, (5, 7), b""),
    record(1, (0, 1), IMAGES[0]),
    record(2, (0, 1), IMAGES[1]),
    record(3, (1,), IMAGES[2]),
    record(4, (1, 1), IMAGES[3]),
    record(5, (1, 3), b""),
    record(6, (3, 5), b""),
)


def listed(path: Path, classes: ClassNames | None = None) -> tuple[list[ImageRecord], Import]:
    given = Import(source="ms", classes=classes or ClassNames(source="ms"))
    [file] = find_recordio(str(path))
    return list(file.list_rows(given, None)), given


@pytest.mark.parametrize("index", [True, False])
def test_images_with_one_label_or_two_are_listed(tmp_path: Path, index: bool) -> None:
    path = write_rec(tmp_path, SET, index)
    rows, given = listed(path)
    assert [(row.source_uri, row.claimed_identity, row.size_bytes) for row in rows] == [
        ("train.rec/1", "ms:0", 3),
        ("train.rec/2", "ms:0", 12),
        ("train.rec/3", "ms:1", 8),
        ("train.rec/4", "ms:1", 0),
    ]
    for row, image in zip(rows, IMAGES, strict=True):
        assert read_location(row.location) == image
        assert row.image_id == hashlib.sha256(image).hexdigest()
    assert not given.notes.counts


def test_image_records_without_ranges_are_listed_all(tmp_path: Path) -> None:
    path = write_rec(tmp_path, [record(n, (n,), b"image %d" % n) for n in range(3)])
    rows, _ = listed(path)
    assert [row.claimed_identity for row in rows] == ["ms:0", "ms:1", "ms:2"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.csv", "label,identity\n0,Zoë O’Malley\n1,Li Wei\n"),
        ("train.lst", "1\t/set/Zoë O’Malley/a.jpg\t0\n1\t/set/Li Wei/b.jpg\t1\n"),
        ("train.lst", "0\t0.0\tZoë O’Malley/a.jpg\n1\t1.0\tLi Wei/b.jpg\n"),
    ],
)
def test_names_of_classes(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    classes = load_class_names(tmp_path / name, "ms")
    rows, _ = listed(write_rec(tmp_path, SET), classes)
    assert [row.claimed_identity for row in rows] == ["Zoë O’Malley"] * 2 + ["Li Wei"] * 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("label,name\n0,A\n", "columns are ['label', 'name']; needed: label, identity"),
        ("label,identity\nx,A\n", "line 2: label 'x' is no class number"),
        ("label,identity\n0.5,A\n", "line 2: label '0.5' is no class number"),
        ("label,identity\ninf,A\n", "line 2: label 'inf' is no class number"),
        ("label,identity\n0,\n", "line 2: identity name '' is empty"),
        ("label,identity\n0,A\n0,B\n", "line 3: class 0 is 'A' and 'B'"),
    ],
)
def test_names_that_are_not_usable_are_one_line(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "names.csv").write_text(text)
    with pytest.raises(SourceError) as caught:
        load_class_names(tmp_path / "names.csv", "ms")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_that_a_list_does_not_name_is_left_out(tmp_path: Path) -> None:
    classes = ClassNames(source="ms", names={0: "Ann"}, complete=True)
    rows, given = listed(write_rec(tmp_path, SET), classes)
    assert [row.claimed_identity for row in rows] == ["Ann", "Ann"]
    assert given.notes.lines("train.rec") == [
        "train.rec: 2 left out as no_identity, the first: record 3: class 1 has no name; "
        "add it to the list of names"
    ]


@pytest.mark.parametrize("label", [float("nan"), float("inf"), -1.0, 0.5])
def test_a_label_that_is_no_class_is_left_out(tmp_path: Path, label: float) -> None:
    rows, given = listed(write_rec(tmp_path, [*SET[:2], record(2, (label,), b"x")]))
    assert len(rows) == 1
    assert given.notes.counts == {"no_identity": 1}


@pytest.mark.parametrize("flag", [2**31, 2**32 - 1, 1000])
def test_more_labels_than_bytes_is_damage(tmp_path: Path, flag: int) -> None:
    rows, given = listed(write_rec(tmp_path, [*SET[:2], record(2, (1,), b"x" * 40, flag)]))
    assert len(rows) == 1
    assert given.notes.counts == {"damaged": 1}


def test_a_damaged_record_is_named_by_its_number(tmp_path: Path) -> None:
    path = write_rec(tmp_path, SET)
    data = bytearray(path.read_bytes())
    begin = len(frame(SET[0]) + frame(SET[1]))
    data[begin : begin + 4] = b"\xff" * 4
    path.write_bytes(data + b"what another program left")
    rows, given = listed(path)
    assert [row.source_uri for row in rows] == ["train.rec/1", "train.rec/3", "train.rec/4"]
    assert given.notes.lines("train.rec") == [
        "train.rec: 2 left out as damaged, the first: record 2: 0xffffffff where a record begins"
    ]


def test_with_an_index_every_lost_record_is_counted(tmp_path: Path) -> None:
    """A stretch of damage is one place in the file and several lines of the index."""
    path = write_rec(tmp_path, SET)
    data = bytearray(path.read_bytes())
    begin = len(b"".join(frame(content) for content in SET[:1]))
    end = len(b"".join(frame(content) for content in SET[:4]))
    data[begin:end] = bytes(end - begin)
    path.write_bytes(data)
    rows, given = listed(path)
    assert [row.source_uri for row in rows] == ["train.rec/4"]
    assert given.notes.counts == {"damaged": 3}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("7\t2147483648\n", "line 8: offset 2147483648 lies outside"),
        ("7\t-4\n", "is not a record's number and offset"),
        ("seven\t4\n", "is not a record's number and offset"),
        ("7\t" + "9" * 400 + "\n", "is not a record's number and offset"),
        ("7\t0\n", "an offset comes twice"),
    ],
)
def test_an_index_that_lies_is_one_line(tmp_path: Path, line: str, problem: str) -> None:
    path = write_rec(tmp_path, SET)
    with path.with_suffix(".idx").open("a") as stream:
        stream.write(line)
    with pytest.raises(SourceError) as caught:
        listed(path)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_index_without_end_is_refused_early(tmp_path: Path) -> None:
    path = write_rec(tmp_path, SET)
    with path.with_suffix(".idx").open("a") as stream:
        stream.writelines(f"{number}\t8\n" for number in range(100_000))
    with pytest.raises(SourceError, match=r"more than .* lines for .* bytes of records"):
        listed(path)


def test_what_a_source_holds_at_a_glance(tmp_path: Path) -> None:
    path = write_rec(tmp_path, SET)
    assert count_recordio(str(tmp_path)) == {
        "files": 1,
        "bytes": path.stat().st_size,
        "records": 7,
    }
    path.with_suffix(".idx").unlink()
    assert count_recordio(str(path)) == {"files": 1, "bytes": path.stat().st_size}


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.rec' cannot be found .*check the path"):
        find_recordio(str(tmp_path / "none.rec"))
    with pytest.raises(SourceError, match="names 0 files"):
        find_recordio(str(tmp_path))
