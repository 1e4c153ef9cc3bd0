"""WebDataset tars: samples, where they name the person, and Winnow's own shards."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cleaning.export.samples import Sample
from cleaning.export.shards import ShardConfig, write_shards
from crawlers.importers.class_names import ClassNames
from crawlers.importers.listing import Import
from crawlers.importers.webdataset import find_webdataset, split_name
from facedata.errors import SourceError
from facedata.location import read_location
from facedata.records import ImageRecord


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def listed(
    pattern: Path | str, identity: str | None = None, names: dict[int, str] | None = None
) -> tuple[list[ImageRecord], Import]:
    given = Import(source="wds", classes=ClassNames(source="wds", names=names or {}))
    rows: list[ImageRecord] = []
    for file in find_webdataset(str(pattern), identity):
        rows.extend(file.list_rows(given, None))
    return rows, given


def test_images_are_found_where_they_lie(tmp_path: Path) -> None:
    files = {
        "a/1.jpg": b"first",
        "a/1.cls": b"3\n",
        "a/2.cls": b"4",
        "a/2.webp": b"second",
        "a/2.seg.png": b"another of the same",
        "README": b"no sample",
    }
    rows, given = listed(write_tar(tmp_path / "s.tar", files))
    assert [(row.source_uri, row.claimed_identity) for row in rows] == [
        ("s.tar/a/1.jpg", "wds:3"),
        ("s.tar/a/2.webp", "wds:4"),
        ("s.tar/a/2.seg.png", "wds:4"),
    ]
    for row, data in zip(rows, (b"first", b"second", b"another of the same"), strict=True):
        assert read_location(row.location) == data
        assert (row.image_id, row.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert not given.notes.counts


@pytest.mark.parametrize(
    ("files", "identity", "expected"),
    [
        ({"1.cls": b"3"}, None, "Three"),
        ({"1.cls": b"Li Wei"}, None, "Li Wei"),
        ({"1.txt": "Zoë\n".encode()}, None, "Zoë"),
        ({"1.txt": b"3"}, None, "3"),
        ({"1.json": b'{"identity": "Ann"}', "1.cls": b"3"}, None, "Ann"),
        ({"1.json": b'{"identity": "Ann"}', "1.cls": b"3"}, "cls", "Three"),
        ({"1.json": b'{"who": 3}'}, "json.who", "Three"),
        ({"1.json": b"not json", "1.txt": b"Bo"}, None, "Bo"),
        ({"1.json": b"[" * 100_000, "1.txt": b"Bo"}, None, "Bo"),
    ],
)
def test_who_a_sample_shows(
    tmp_path: Path, files: dict[str, bytes], identity: str | None, expected: str
) -> None:
    tar = write_tar(tmp_path / "s.tar", {"1.jpg": b"x", **files})
    [row], given = listed(tar, identity, {3: "Three"})
    assert row.claimed_identity == expected
    assert not given.notes.counts


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        ({"1.jpg": b"x"}, "no_identity"),
        ({"1.jpg": b"x", "1.txt": b"a\x00b"}, "no_identity"),
        ({"1.jpg": b"x", "1.cls": b""}, "no_identity"),
        ({"1.jpg": b"x", "1.json": b'{"identity": [1]}'}, "no_identity"),
        ({"1.jpg": b"x", "1.json": b'{"identity": true}'}, "no_identity"),
        ({"1.json": b"{}"}, "no_image"),
    ],
)
def test_what_is_left_out_is_counted(tmp_path: Path, files: dict[str, bytes], cause: str) -> None:
    rows, given = listed(write_tar(tmp_path / "s.tar", {**files, "2.jpg": b"y", "2.cls": b"1"}))
    assert [row.source_uri for row in rows] == ["s.tar/2.jpg"]
    assert given.notes.counts == {cause: 1}


def test_a_damaged_shard_keeps_its_other_samples(tmp_path: Path) -> None:
    files = {f"{n}.{suffix}": b"1" for n in range(4) for suffix in ("jpg", "cls")}
    path = write_tar(tmp_path / "s.tar", files)
    data = bytearray(path.read_bytes())
    data[2 * 2048 + 4 : 2 * 2048 + 40] = b"\xff" * 36
    path.write_bytes(data)
    rows, given = listed(path)
    assert [row.source_uri for row in rows] == ["s.tar/0.jpg", "s.tar/1.jpg", "s.tar/3.jpg"]
    assert given.notes.counts == {"damaged": 1, "no_image": 1}


def test_an_image_too_large_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawlers.importers.webdataset.MAX_IMAGE_BYTES", 3)
    files = {"1.jpg": b"four", "1.cls": b"1", "2.jpg": b"two", "2.cls": b"1"}
    rows, given = listed(write_tar(tmp_path / "s.tar", files))
    assert [row.source_uri for row in rows] == ["s.tar/2.jpg"]
    assert given.notes.counts["too_large"] == 1


def test_names_are_never_paths(tmp_path: Path) -> None:
    name = "../../outside/1.jpg"
    [row], _ = listed(write_tar(tmp_path / "s.tar", {name: b"x", "../../outside/1.cls": b"1"}))
    assert row.source_uri == f"s.tar/{name}"
    assert row.location == f"range:512+1:{tmp_path / 's.tar'}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.b/c.tar.GZ", ("a.b/c", "tar.gz")),
        ("x.jpg", ("x", "jpg")),
        ("a/.hidden", ("a/", None)),
        ("plain", ("plain", None)),
    ],
)
def test_keys_end_at_the_first_dot_of_the_file(name: str, expected: tuple[str, str | None]) -> None:
    assert split_name(name) == expected


def test_shards_are_named_by_a_range(tmp_path: Path) -> None:
    for number in range(12):
        files = {"1.jpg": b"%d" % number, "1.cls": b"1"}
        write_tar(tmp_path / f"train-{number:03}.tar", files)
    for pattern, count in (
        ("train-{000..011}.tar", 12),
        ("train-{002,007}.tar", 2),
        ("train-00*.tar", 10),
        ("train-{00{1..2},01{0..1}}.tar", 4),
        ("", 12),
    ):
        rows, _ = listed(tmp_path / pattern)
        assert len(rows) == count, pattern
        assert len({row.source_uri for row in rows}) == count


def test_odd_folders_are_no_patterns(tmp_path: Path) -> None:
    folder = tmp_path / "a [1] {x} ?"
    folder.mkdir()
    write_tar(folder / "s.tar", {"1.jpg": b"x", "1.cls": b"1"})
    for pattern in (folder, folder / "s.tar"):
        [row], _ = listed(pattern)
        assert read_location(row.location) == b"x"


@pytest.mark.parametrize("pattern", ["{9..1}.tar", "{0..200000}.tar", "*.tar"])
def test_a_pattern_that_names_nothing_is_one_line(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(SourceError) as caught:
        listed(tmp_path / pattern)
    assert "\n" not in str(caught.value)


def test_own_shards_come_back(tmp_path: Path) -> None:
    facts = {"identity": "Zoë", "url": "https://e.org/1", "page_url": None, "licence": "CC0-1.0"}
    sample = Sample(key="0" * 32 + "-0", crop=_crop(), class_index=5, facts=facts)
    (tmp_path / "shards").mkdir()
    write_shards([sample], ShardConfig(), lambda name: (tmp_path / name).open("wb"))
    [row], _ = listed(tmp_path / "shards/train-{000000..000000}.tar")
    assert (row.claimed_identity, row.url, row.licence) == ("Zoë", "https://e.org/1", "CC0-1.0")
    assert row.page_url is None


def test_remote_shards_are_read_by_ranges(
    tmp_path: Path, image_bytes: Callable[[int], bytes]
) -> None:
    fsspec = pytest.importorskip("fsspec")
    data = image_bytes(1)
    path = write_tar(
        tmp_path / "s.tar", {"1.jpg": data, "1.json": json.dumps({"identity": "A"}).encode()}
    )
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/set/s.tar", path.read_bytes())
    [row], _ = listed("memory://set/s.tar")
    assert row.location == f"range:512+{len(data)}:memory://set/s.tar"
    assert read_location(row.location) == data
    rows, _ = listed("memory://set/*.tar")
    assert len(rows) == 1


def _crop() -> bytes:
    import cv2
    import numpy as np

    return bytes(cv2.imencode(".png", np.zeros((112, 112, 3), np.uint8))[1])
