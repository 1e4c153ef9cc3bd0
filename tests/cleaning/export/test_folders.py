"""Folder per person: names that every disk takes, and images that keep their bytes."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cleaning.export.folders import export_folders, folder_name, folder_names
from cleaning.export.released import Person, ReleasedVersion
from crawlers.importers.folder import list_folder
from facedata.errors import RequestError
from facedata.storage import Storage
from facedata.versions import read_manifest

PEOPLE = {
    "Zoë O’Malley": (0, 2),
    "毛泽东": (1, 1),
    "../../etc": (2, 1),
    "CON": (3, 1),
    "ann": (4, 1),
    "Ann": (5, 1),
    "x" * 300: (6, 1),
}


def people(*names: str) -> list[Person]:
    return [
        Person(identity=name, class_index=index, label=index, images=1)
        for index, name in enumerate(names)
    ]


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ("Zoë O’Malley", "Zoë O’Malley"),
        (unicodedata.normalize("NFD", "Zoë"), "Zoë"),
        ("毛泽东", "毛泽东"),
        ("محمد", "محمد"),
        ("🦊", "🦊"),
        ("..", "%2E%2E"),
        (".hidden", "%2Ehidden"),
        ("a/b\\c", "a%2Fb%5Cc"),
        ("100%", "100%25"),
        ("ends.", "ends%2E"),
        ('Ana "Bee", jr.', "Ana %22Bee%22, jr%2E"),
        ("con", "%63on"),
        ("Con.txt", "%43on.txt"),
        ("concert", "concert"),
        ("LPT1", "%4CPT1"),
        ("a\u202eb", "a%E2%80%AEb"),
    ],
)
def test_a_name_stays_as_it_is_as_far_as_possible(identity: str, expected: str) -> None:
    assert folder_name(identity) == expected


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


@given(st.lists(NAMES, unique=True, max_size=8))
@example(["Ann", "ann", "ANN", "ann~1", "ß", "ss", "x" * 300, "X" * 300])
def test_names_are_safe_and_differ_on_every_disk(identities: list[str]) -> None:
    names = folder_names(people(*identities))
    assert len({unicodedata.normalize("NFC", n).casefold() for n in names.values()}) == len(names)
    for name in names.values():
        assert name not in {"", ".", ".."}
        assert not set(name) & set('<>:"/\\|?*\0\n')
        assert len(name.encode()) <= 255
        assert name == name.rstrip(". ")


def test_a_version_as_folders_and_back(released: Callable[..., Path], tmp_path: Path) -> None:
    storage = Storage(released(PEOPLE, "jpg"))
    version = ReleasedVersion(storage, read_manifest(storage, "set-v0001"))
    assert export_folders(version, tmp_path / "out") == {"images": 8, "identities": 7}

    with (tmp_path / "out/identities.csv").open(encoding="utf-8", newline="") as stream:
        listed = {row["folder"]: row for row in csv.DictReader(stream)}
    assert [row["identity"] for row in listed.values()] == list(PEOPLE)
    assert listed["Ann~5"]["class_index"] == "5"
    found = {
        (listed[path.parent.name]["identity"], path.name, path.read_bytes())
        for path in (tmp_path / "out").rglob("*.jpg")
    }
    assert found == {
        (person.identity, f"{image.key}.jpg", image.data) for person, image in version.images()
    }
    back = list(list_folder(tmp_path / "out", "back"))
    assert {row.claimed_identity for row in back} == set(listed)
    assert len(back) == 8


def test_a_folder_that_is_there_is_left_alone(
    released: Callable[..., Path], tmp_path: Path
) -> None:
    storage = Storage(released({"Ann": (0, 1)}))
    version = ReleasedVersion(storage, read_manifest(storage, "set-v0001"))
    (tmp_path / "out").write_text("mine")
    with pytest.raises(RequestError, match="is there already"):
        export_folders(version, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    export_folders(version, tmp_path / "empty")
    assert len(list((tmp_path / "empty").rglob("*.png"))) == 1
