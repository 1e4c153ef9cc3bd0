"""Hugging Face Parquet: images in structs or plain, names of classes from the metadata."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawlers.importers.class_names import ClassNames
from crawlers.importers.listing import Import
from crawlers.importers.parquet_set import Columns, count_parquet, find_parquet
from facedata.errors import SourceError
from facedata.records import ImageRecord

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {
    "info": {
        "features": {
            "image": {"_type": "Image"},
            "label": {"names": ["Zoë", "Li Wei"], "_type": "ClassLabel"},
        }
    }
}


def write_set(path: Path, images: pa.Array, labels: list[Any], features: Any = FEATURES) -> Path:
    table = pa.table({"image": images, "label": labels})
    metadata = {b"huggingface": json.dumps(features).encode()} if features else None
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=20)
    return path


def structs(*images: bytes | None) -> pa.Array:
    return pa.array([{"bytes": data, "path": f"{n}.jpg"} for n, data in enumerate(images)], IMAGE)


def listed(
    pattern: Path, columns: Columns | None = None, names: dict[int, str] | None = None
) -> tuple[list[ImageRecord], Import, bytes]:
    given = Import(source="hf", classes=ClassNames(source="hf", names=names or {}))
    copy = io.BytesIO()
    rows: list[ImageRecord] = []
    for file in find_parquet(str(pattern), columns or Columns(image="image", label="label")):
        assert file.copies
        rows.extend(file.list_rows(given, copy))
    return rows, given, copy.getvalue()


def test_images_are_copied_once_and_named_by_the_metadata(tmp_path: Path) -> None:
    images = [b"image %d" % number for number in range(50)]
    path = write_set(tmp_path / "a.parquet", structs(*images), [n % 2 for n in range(50)])
    rows, given, copy = listed(path)
    assert copy == b"".join(images)
    assert [row.claimed_identity for row in rows] == ["Zoë", "Li Wei"] * 25
    assert [row.source_uri for row in rows] == [f"a.parquet/{n}" for n in range(50)]
    assert rows[11].location == f"range:{sum(map(len, images[:11]))}+8:images.pack"
    assert not given.notes.counts


@pytest.mark.parametrize(
    ("features", "names", "expected"),
    [
        (FEATURES, {0: "Own"}, "Own"),
        (None, {}, "hf:0"),
        ({"info": {"features": {"label": {"_type": "Value"}}}}, {}, "hf:0"),
        ({"info": []}, {}, "hf:0"),
        ({"info": {"features": {"label": {"names": [7, "x"]}}}}, {}, "hf:0"),
    ],
)
def test_who_a_class_is(
    tmp_path: Path, features: Any, names: dict[int, str], expected: str
) -> None:
    path = write_set(tmp_path / "a.parquet", structs(b"x"), [0], features)
    [row], _, _ = listed(path, names=names)
    assert row.claimed_identity == expected


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_plain_bytes_and_text_labels(tmp_path: Path, kind: pa.DataType) -> None:
    path = write_set(tmp_path / "a.parquet", pa.array([b"x", b"y"], kind), ["Ann", "3"])
    rows, _, copy = listed(path)
    assert [row.claimed_identity for row in rows] == ["Ann", "3"]
    assert copy == b"xy"


@pytest.mark.parametrize(
    ("image", "label", "cause"),
    [
        (None, 0, "no_image"),
        (b"x", -1, "no_identity"),
        (b"x", None, "no_identity"),
    ],
)
def test_what_is_left_out_is_counted(
    tmp_path: Path, image: bytes | None, label: int | None, cause: str
) -> None:
    path = write_set(tmp_path / "a.parquet", structs(image, b"good"), [label, 1])
    rows, given, copy = listed(path)
    assert [row.source_uri for row in rows] == ["a.parquet/1"]
    assert copy == b"good"
    assert given.notes.counts == {cause: 1}


def test_an_image_too_large_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawlers.importers.parquet_set.MAX_IMAGE_BYTES", 3)
    rows, given, _ = listed(write_set(tmp_path / "a.parquet", structs(b"four", b"two"), [0, 1]))
    assert len(rows) == 1
    assert given.notes.counts == {"too_large": 1}


def test_several_files_and_other_columns(tmp_path: Path) -> None:
    for number in range(3):
        table = pa.table({"img": structs(b"%d" % number), "who": ["Ann"], "url": ["https://e.org"]})
        pq.write_table(table, tmp_path / f"train-0000{number}-of-00003.parquet")
    columns = Columns(image="img", label="who")
    rows, _, _ = listed(tmp_path, columns)
    assert [row.url for row in rows] == ["https://e.org"] * 3
    assert len({row.source_uri for row in rows}) == 3
    assert count_parquet(str(tmp_path), columns) == {"files": 3, "images": 3}


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (Columns(image="img", label="label"), "no column 'img'; set image to one of image, label"),
        (Columns(image="image", label="who"), "no column 'who'; set label to one of"),
        (Columns(image="label", label="image"), "column 'label' is int64; an image is bytes"),
    ],
)
def test_columns_that_do_not_fit_are_one_line(
    tmp_path: Path, columns: Columns, problem: str
) -> None:
    path = write_set(tmp_path / "a.parquet", structs(b"x"), [0])
    with pytest.raises(SourceError) as caught:
        listed(path, columns)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 4, 100, -20])
def test_a_damaged_file_is_one_line(tmp_path: Path, size: int) -> None:
    path = write_set(tmp_path / "a.parquet", structs(b"x" * 500), [0])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(SourceError, match="not a whole Parquet file"):
        listed(path)
    with pytest.raises(SourceError, match="not a whole Parquet file"):
        count_parquet(str(path), Columns(image="image", label="label"))


def test_damage_inside_is_one_line(tmp_path: Path) -> None:
    path = write_set(tmp_path / "a.parquet", structs(b"x" * 500, b"y"), [0, 1])
    data = bytearray(path.read_bytes())
    data[4:40] = b"\xff" * 36
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        listed(path)
    assert "\n" not in str(caught.value)


def test_text_that_is_no_utf8_is_one_line(tmp_path: Path) -> None:
    wrong = pa.StringArray.from_buffers(
        1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")
    )
    pq.write_table(pa.table({"image": [b"x"], "label": wrong}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="not a whole Parquet file"):
        listed(tmp_path / "a.parquet")
