"""Importers in a workspace: listed once per file, found again, and moved with it."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawlers.importers.imports import IMPORTERS, Listed, count_import, list_import
from crawlers.ingest import IMAGES, ingest
from facedata.errors import IntegrityError, SourceError
from facedata.location import read_location
from facedata.recipe import parse_recipe, resolve_paths
from facedata.records import ImageRecord
from facedata.sources import ExcludedSource, Source
from facedata.storage import Storage


def write_tar(path: Path, data: bytes) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in (("1.jpg", data), ("1.txt", b"Ann")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def tars(folder: Path) -> Source:
    return Source.model_validate({"webdataset": {"urls": f"{folder}/*.tar"}})


def parquet(path: Path) -> Source:
    table = pa.table({"image": [b"one", b"two", None], "label": ["Ann", "Bo", "Bo"]})
    pq.write_table(table, path)
    return Source.model_validate({"parquet": {"path": str(path)}})


def listed(storage: Storage, source: Source) -> list[Listed]:
    return list(list_import(storage, "set", source))


def test_every_kind_that_is_no_folder_or_crawl_has_an_importer() -> None:
    own = {"folder", "crawl"}
    assert set(IMPORTERS) <= set(ExcludedSource.model_fields)
    assert not own & set(IMPORTERS)


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "work")
    path = write_tar(tmp_path / "a.tar", b"first")
    facts = path.stat()
    [before] = listed(storage, tars(tmp_path))
    content = path.read_bytes().replace(b"first", b"other")
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 10**9))
    [after] = listed(storage, tars(tmp_path))
    assert before.rows[0].image_id != after.rows[0].image_id
    # Whatever else is asked, a file that did not change is not opened.
    path.chmod(0)
    again = listed(Storage(tmp_path / "work"), tars(tmp_path)) if os.geteuid() else [after]
    assert again == [after]


def test_a_listing_goes_on_at_the_file_that_stopped_it(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "work")
    write_tar(tmp_path / "a.tar", b"first")
    (tmp_path / "b.tar").write_bytes(b"\x1f\x8b compressed")
    with pytest.raises(SourceError, match=r"b\.tar: compressed"):
        listed(storage, tars(tmp_path))
    [done] = (tmp_path / "work/stages/import").iterdir()
    written = (done / "manifest.json").stat().st_mtime_ns
    write_tar(tmp_path / "b.tar", b"second")
    assert [part.rows[0].source_uri for part in listed(storage, tars(tmp_path))] == [
        "a.tar/1.jpg",
        "b.tar/1.jpg",
    ]
    assert (done / "manifest.json").stat().st_mtime_ns == written


@pytest.mark.parametrize("remote", [False, True])
def test_images_without_a_place_are_copied_once(tmp_path: Path, remote: bool) -> None:
    storage = Storage(f"memory://{tmp_path.name}" if remote else tmp_path / "work")
    source = parquet(tmp_path / "a.parquet")
    [part] = listed(storage, source)
    assert [read_location(row.location) for row in part.rows] == [b"one", b"two"]
    assert part.left_out == {"no_image": 1}
    assert part.warnings == [
        f"{tmp_path}/a.parquet: 1 left out as no_image, the first: row 2 has no bytes"
    ]
    assert listed(storage, source) == [part]


def test_a_copy_moves_with_its_workspace(tmp_path: Path) -> None:
    source = parquet(tmp_path / "a.parquet")
    listed(Storage(tmp_path / "work"), source)
    shutil.move(tmp_path / "work", tmp_path / "moved")
    [part] = listed(Storage(tmp_path / "moved"), source)
    assert [read_location(row.location) for row in part.rows] == [b"one", b"two"]
    assert str(tmp_path / "moved") in part.rows[0].location


def test_a_copy_that_is_gone_is_told_of(tmp_path: Path) -> None:
    source = parquet(tmp_path / "a.parquet")
    listed(Storage(tmp_path / "work"), source)
    [copy] = (tmp_path / "work").rglob("images.pack")
    copy.unlink()
    with pytest.raises(IntegrityError, match=r"images\.pack is missing; remove the folder"):
        listed(Storage(tmp_path / "work"), source)


def test_a_table_of_names_gives_classes_their_people(tmp_path: Path) -> None:
    table = pa.table({"image": [b"one"], "label": [4]})
    pq.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "names.csv").write_text("label,identity\n4,Zoë\n", "utf-8")
    described = {"path": f"{tmp_path}/a.parquet", "names": f"{tmp_path}/names.csv"}
    source = Source.model_validate({"parquet": described})
    [part] = listed(Storage(tmp_path / "work"), source)
    assert part.rows[0].claimed_identity == "Zoë"


def test_what_was_left_out_is_a_fact_of_the_stage(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet")
    write_tar(tmp_path / "a.tar", b"first")
    text = "name: a\nsources:\n  - parquet: {path: a.parquet}\n  - webdataset: {urls: a.tar}\n"
    told: list[str] = []
    storage = Storage(tmp_path / "work")
    result = ingest(storage, resolve_paths(parse_recipe(text), tmp_path), told.append)
    assert result.counts == {
        "images": 3,
        "distinct_images": 3,
        "identities": 2,
        "left_out": 1,
    }
    assert result.facts["left_out"] == {"parquet": {"no_image": 1}}
    assert len(told) == 1
    rows = storage.read_records(result.path(IMAGES), ImageRecord)
    assert {row.source for row in rows} == {"parquet", "webdataset"}


def test_a_glance_reads_no_image(tmp_path: Path) -> None:
    assert count_import(parquet(tmp_path / "a.parquet")) == {"files": 1, "images": 3}
    write_tar(tmp_path / "a.tar", b"first")
    assert count_import(tars(tmp_path)) == {"files": 1}
