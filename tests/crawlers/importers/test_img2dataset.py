"""What img2dataset leaves, in both of its formats, with tables as its version 1.47 writes them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawlers.importers.class_names import ClassNames
from crawlers.importers.img2dataset import find_img2dataset
from crawlers.importers.listing import Import
from facedata.errors import SourceError
from facedata.location import read_location
from facedata.records import ImageRecord

PEOPLE = ("Zoë", "Li Wei", "Zoë", "Ann")
FAILED = 2
"""The third address was not found."""


def row(number: int) -> dict[str, Any]:
    """A row with img2dataset's own columns, a caption and an additional column."""
    failed = number == FAILED
    return {
        "identity": PEOPLE[number],
        "caption": f"a photo of {PEOPLE[number]}",
        "license": "CC-BY-4.0",
        "url": f"https://example.org/{number}.jpg",
        "key": f"{number:09}",
        "status": "failed_to_download" if failed else "success",
        "error_message": "HTTP Error 404: Not Found" if failed else None,
        "width": None if failed else 8,
        "height": None if failed else 8,
        "original_width": None if failed else 8,
        "original_height": None if failed else 8,
        "exif": None if failed else "{}",
        "sha256": None if failed else f"{number:064x}",
    }


def files_of(number: int) -> dict[str, bytes]:
    """The files of a sample that was fetched."""
    key = f"{number:09}"
    return {
        f"{key}.jpg": b"image %d" % number,
        f"{key}.json": json.dumps(row(number)).encode(),
        f"{key}.txt": row(number)["caption"].encode(),
    }


def write_set(folder: Path, form: str) -> Path:
    """Write two shards of two addresses each."""
    folder.mkdir()
    for shard in range(2):
        numbers = (2 * shard, 2 * shard + 1)
        table = pa.Table.from_pylist([row(number) for number in numbers])
        pq.write_table(table, folder / f"{shard:05}.parquet")
        (folder / f"{shard:05}_stats.json").write_text("{}")
        fetched = [files_of(number) for number in numbers if number != FAILED]
        files = {name: data for sample in fetched for name, data in sample.items()}
        if form == "files":
            (folder / f"{shard:05}").mkdir()
            for name, data in files.items():
                (folder / f"{shard:05}" / name).write_bytes(data)
        else:
            with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
                for name, data in files.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    return folder


def listed(folder: Path, identity: str | None = None) -> tuple[list[ImageRecord], Import]:
    given = Import(source="web", classes=ClassNames(source="web"))
    rows: list[ImageRecord] = []
    for file in find_img2dataset(str(folder), identity):
        rows.extend(file.list_rows(given, None))
    return rows, given


@pytest.mark.parametrize("form", ["files", "webdataset"])
def test_images_keep_their_provenance(tmp_path: Path, form: str) -> None:
    rows, given = listed(write_set(tmp_path / "out", form))
    middle = "" if form == "files" else ".tar"
    assert [(r.source_uri, r.claimed_identity, r.url, r.licence) for r in rows] == [
        (
            f"{number // 2:05}{middle}/{number:09}.jpg",
            PEOPLE[number],
            f"https://example.org/{number}.jpg",
            "CC-BY-4.0",
        )
        for number in (0, 1, 3)
    ]
    assert [read_location(r.location) for r in rows] == [b"image 0", b"image 1", b"image 3"]
    assert given.notes.lines("out") == [
        "out: 1 left out as not_fetched, the first: 'https://example.org/2.jpg'"
    ]


@pytest.mark.parametrize("form", ["files", "webdataset"])
def test_another_column_names_the_person(tmp_path: Path, form: str) -> None:
    rows, _ = listed(write_set(tmp_path / "out", form), "caption")
    assert rows[0].claimed_identity == "a photo of Zoë"


def test_the_state_changes_with_a_file(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "out", "files")
    before = [file.state for file in find_img2dataset(str(folder), None)]
    (folder / "00001" / "000000003.jpg").write_bytes(b"another")
    after = [file.state for file in find_img2dataset(str(folder), None)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False]


def test_a_link_in_a_folder_is_not_followed(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "out", "files")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    image = folder / "00000" / "000000000.jpg"
    image.unlink()
    image.symlink_to(tmp_path / "secret.jpg")
    rows, _ = listed(folder)
    assert [row.source_uri for row in rows] == ["00000/000000001.jpg", "00001/000000003.jpg"]


def test_a_table_without_the_column_is_one_line(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "out", "webdataset")
    with pytest.raises(SourceError, match="needed: key and one of who"):
        listed(folder, "who")


def test_a_table_that_is_none_is_one_line(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "out", "webdataset")
    (folder / "00000.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(SourceError, match="not a whole Parquet file"):
        listed(folder)


def test_a_table_without_images_is_one_line(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "out", "webdataset")
    (folder / "00001.tar").unlink()
    with pytest.raises(SourceError, match=r"00001\.tar' cannot be found"):
        listed(folder)
