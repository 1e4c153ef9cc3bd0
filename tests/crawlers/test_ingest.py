"""Listing sources and excluded sets: whose identities are whose."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
import yaml

from crawlers.ingest import IMAGES, ingest, ingest_excluded
from facedata.errors import RequestError, SourceError
from facedata.location import read_location
from facedata.recipe import Recipe, parse_recipe
from facedata.records import ImageRecord
from facedata.storage import Storage
from training.evaluate.verification_bin import write_bin

PHOTOS = {"ours": ["Ann/1.jpg", "Bo/1.jpg"], "theirs": ["Ann/2.jpg", "Ann/3.jpg"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for source, photos in PHOTOS.items():
        for photo in photos:
            path = tmp_path / source / photo
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photo.encode())
    return tmp_path


def recipe_of(folder: Path, identities: str, **keys: object) -> Recipe:
    theirs = {"name": "theirs", "folder": {"path": str(folder / "theirs")}}
    sources = [
        {"name": "ours", "folder": {"path": str(folder / "ours")}},
        theirs | {"identities": identities},
    ]
    return parse_recipe(yaml.safe_dump({"name": "people", "sources": sources} | keys))


def claims(storage: Storage, recipe: Recipe) -> set[tuple[str, str]]:
    listed = ingest(storage, recipe, print)
    rows = storage.read_records(listed.path(IMAGES), ImageRecord)
    return {(row.claimed_identity, row.source_uri) for row in rows}


def test_a_name_in_two_sources_is_one_person_unless_a_source_has_its_own(folder: Path) -> None:
    storage = Storage(folder / "work")
    assert claims(storage, recipe_of(folder, "shared")) == {
        ("Ann", "Ann/1.jpg"),
        ("Bo", "Bo/1.jpg"),
        ("Ann", "Ann/2.jpg"),
        ("Ann", "Ann/3.jpg"),
    }
    assert claims(storage, recipe_of(folder, "own")) == {
        ("Ann", "Ann/1.jpg"),
        ("Bo", "Bo/1.jpg"),
        ("theirs:Ann", "Ann/2.jpg"),
        ("theirs:Ann", "Ann/3.jpg"),
    }


def test_only_allowed_licences_enter_but_for_a_folder_s_own_photos(folder: Path) -> None:
    licences = {"a": "CC BY-SA 3.0", "b": "All rights reserved", "c": "", "d": "CC0"}
    with tarfile.open(folder / "set.tar", "w") as tar:
        for key, licence in licences.items():
            facts = json.dumps({"identity": "Cy", "license": licence}).encode()
            for name, body in ((f"{key}.jpg", key.encode()), (f"{key}.json", facts)):
                member = tarfile.TarInfo(name)
                member.size = len(body)
                tar.addfile(member, io.BytesIO(body))
    sources = [
        {"name": "ours", "folder": {"path": str(folder / "ours")}},
        {"name": "set", "webdataset": {"urls": str(folder / "set.tar")}},
    ]
    recipe = {"name": "people", "sources": sources, "licences": ["cc-by-sa", "cc0"]}
    storage = Storage(folder / "work")

    listed = ingest(storage, parse_recipe(yaml.safe_dump(recipe)), print)

    rows = storage.read_records(listed.path(IMAGES), ImageRecord)
    assert [row.licence for row in rows] == [None, None, "CC BY-SA 3.0", "CC0"]
    assert listed.facts["left_out"] == {"set": {"licence_refused": 2}}
    assert listed.counts["left_out"] == 2
    assert listed.facts["identity_lists"] == []


def test_excluded_sets_are_listed_each_by_itself(folder: Path) -> None:
    storage = Storage(folder / "work")
    write_bin(folder / "pairs.bin", [b"a", b"b", b"c", b"d"], [True, False])
    excluded = [
        {"name": "lfw", "folder": {"path": str(folder / "theirs")}, "identities": "own"},
        {"bin": {"path": str(folder / "pairs.bin")}},
    ]
    found = ingest_excluded(storage, recipe_of(folder, "shared", exclude=excluded), print)
    rows = {
        name: storage.read_records(listed.path(IMAGES), ImageRecord)
        for name, listed in found.items()
    }
    assert [(row.claimed_identity, row.source) for row in rows["lfw"]] == [("Ann", "lfw")] * 2
    pairs = rows["excluded-bin"]
    assert [(row.source_uri, row.claimed_identity) for row in pairs] == [
        ("pairs.bin/0", "excluded-bin:pairs.bin/0"),
        ("pairs.bin/1", "excluded-bin:pairs.bin/0"),
        ("pairs.bin/2", "excluded-bin:pairs.bin/2"),
        ("pairs.bin/3", "excluded-bin:pairs.bin/3"),
    ]
    for row, image in zip(pairs, [b"a", b"b", b"c", b"d"], strict=True):
        assert read_location(row.location) == image
        assert row.image_id == hashlib.sha256(image).hexdigest()
    again = ingest_excluded(storage, recipe_of(folder, "shared", exclude=excluded), print)
    assert all(listed.resumed for listed in again.values())


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ({"folder": {"path": "empty"}}, SourceError, "empty' has no image below it"),
        ({"webdataset": {"urls": "a.tar"}}, SourceError, "exclude lfw: the set holds no image"),
        ({"folder": {"path": "gone"}}, SourceError, "gone"),
        ({"bin": {"path": "not.bin"}}, RequestError, "not.bin: not a"),
        ({"bin": {"path": "gone.bin"}}, SourceError, "gone.bin"),
        ({"bin": {"path": "memory://gone.bin"}}, SourceError, "copy it to a local disk"),
    ],
)
def test_an_unusable_excluded_set_stops_the_build(
    folder: Path, source: dict[str, dict[str, str]], error: type[Exception], message: str
) -> None:
    (folder / "empty").mkdir()
    (folder / "not.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    tarfile.open(folder / "a.tar", "w").close()
    ((kind, keys),) = source.items()
    ((key, path),) = keys.items()
    path = path if "://" in path else str(folder / path)
    recipe = recipe_of(folder, "own", exclude=[{"name": "lfw", kind: {key: path}}])
    with pytest.raises(error, match=message) as caught:
        ingest_excluded(Storage(folder / "work"), recipe, print)
    assert "\n" not in str(caught.value)
