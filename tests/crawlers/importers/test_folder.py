from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path

import pytest

from crawlers.importers.folder import Ignored, list_folder, portable_path, survey_folder
from facedata.errors import SourceError
from facedata.records import ImageRecord, from_table, to_table


def put(root: Path, name: str, body: bytes = b"bytes") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


def test_lists_every_file_sorted_with_its_digest(tmp_path: Path) -> None:
    put(tmp_path, "Bo/2.jpg", b"two")
    put(tmp_path, "Bo/album/1.png", b"one")
    put(tmp_path, "Ann Lee/broken.webp", b"no image at all")
    put(tmp_path, "Ann Lee/empty.jpg", b"")
    records = list(list_folder(tmp_path, "photos"))
    assert [(r.claimed_identity, r.source_uri) for r in records] == [
        ("Ann Lee", "Ann Lee/broken.webp"),
        ("Ann Lee", "Ann Lee/empty.jpg"),
        ("Bo", "Bo/2.jpg"),
        ("Bo", "Bo/album/1.png"),
    ]
    assert records[2] == ImageRecord(
        image_id=hashlib.sha256(b"two").hexdigest(),
        source="photos",
        source_uri="Bo/2.jpg",
        claimed_identity="Bo",
        location=str(tmp_path / "Bo/2.jpg"),
        size_bytes=3,
    )


def test_what_is_left_out_is_counted_and_said(tmp_path: Path) -> None:
    put(tmp_path, "Bo/1.jpg")
    for name in (".DS_Store", "Bo/Thumbs.db", "Bo/notes.TXT", "Bo/boxes.csv", "Bo/.hidden/x.jpg"):
        put(tmp_path, name)
    put(tmp_path, "stray.jpg")
    (tmp_path / "Nobody").mkdir()
    os.mkfifo(tmp_path / "Bo" / "pipe")
    survey = survey_folder(tmp_path)
    assert [file.source_uri for file in survey.files] == ["Bo/1.jpg"]
    assert survey.ignored == {Ignored.HIDDEN: 3, Ignored.NOTE: 2, Ignored.SPECIAL: 1}
    assert survey.stray_files == ("stray.jpg",)
    assert survey.empty_people == ("Nobody",)
    assert survey.warnings() == [
        f"{tmp_path}: 'stray.jpg' in no person's folder left out; "
        "expected <folder>/<identity>/<image>",
        f"{tmp_path}: no image for 'Nobody'",
        f"{tmp_path}: 3 left out as hidden",
        f"{tmp_path}: 2 left out as note",
        f"{tmp_path}: 1 left out as special",
    ]


def test_links_are_followed_only_inside_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "set"
    put(root, "Bo/1.jpg")
    put(tmp_path, "elsewhere/secret.jpg")
    (root / "Bo/inside.jpg").symlink_to(root / "Bo/1.jpg")
    (root / "Bo/outside.jpg").symlink_to(tmp_path / "elsewhere/secret.jpg")
    (root / "Eve").symlink_to(tmp_path / "elsewhere")
    (root / "Bo/nowhere.jpg").symlink_to(root / "gone.jpg")
    (root / "Bo/loop").symlink_to(root)
    survey = survey_folder(root)
    assert [file.source_uri for file in survey.files] == ["Bo/1.jpg", "Bo/inside.jpg"]
    assert survey.ignored == {Ignored.LINK_OUTSIDE: 2, Ignored.LINK_BROKEN: 2}


def test_folder_names_that_normalise_alike_are_one_person(tmp_path: Path) -> None:
    put(tmp_path, unicodedata.normalize("NFC", "Zoë") + "/1.jpg")
    put(tmp_path, unicodedata.normalize("NFD", "Zoë") + "/2.jpg")
    survey = survey_folder(tmp_path)
    assert [file.identity for file in survey.files] == ["Zoë", "Zoë"]
    assert survey.merged_people == ("Zoë",)
    assert "count as one person: 'Zoë'" in survey.warnings()[0]


def test_names_are_never_paths(tmp_path: Path) -> None:
    for name in ("a..b", "with space", "quo'te\"", "🦊", "y" * 255, "%2e%2e"):
        put(tmp_path, f"{name}/1.jpg")
    assert {r.claimed_identity for r in list_folder(tmp_path, "s")} == {
        "a..b",
        "with space",
        "quo'te\"",
        "🦊",
        "y" * 255,
        "%2e%2e",
    }


def test_undecodable_file_names_survive_a_table(tmp_path: Path) -> None:
    (tmp_path / "Bo").mkdir()
    for name in (b"a\x80.jpg", b"a%80.jpg", b"a\xff.jpg"):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path / "Bo"), name))).write_bytes(name)  # noqa: PTH118
    records = list(list_folder(tmp_path, "s"))
    assert [r.source_uri for r in records] == ["Bo/a%2580.jpg", "Bo/a%80.jpg", "Bo/a%FF.jpg"]
    assert records[1].location == (tmp_path / "Bo").as_uri() + "/a%80.jpg"
    assert from_table(ImageRecord, to_table(ImageRecord, records)) == records


def test_portable_path_keeps_plain_names() -> None:
    assert portable_path(Path("Zoë/my photo (1).jpg")) == "Zoë/my photo (1).jpg"


def test_a_name_with_control_characters_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, "a\nb/1.jpg")
    with pytest.raises(SourceError, match=r"'a\\nb' has the unprintable character"):
        survey_folder(tmp_path)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda _root: None, "does not exist; check the path"),
        (lambda root: root.write_bytes(b""), "is a file; give the folder that holds the people"),
        (lambda root: root.mkdir(), "has no image below it; expected <folder>/<identity>/<image>"),
        (lambda root: (root / "Bo").mkdir(parents=True), "has no image below it"),
        (lambda root: put(root, "1.jpg"), "has images in no person's folder ('1.jpg')"),
    ],
)
def test_unusable_folders_are_one_clear_error(tmp_path: Path, make, problem: str) -> None:
    make(tmp_path / "set")
    with pytest.raises(SourceError) as caught:
        list(list_folder(tmp_path / "set", "s"))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_an_unreadable_photo_is_an_error_that_names_it(tmp_path: Path) -> None:
    put(tmp_path, "Bo/1.jpg")
    (tmp_path / "Bo/1.jpg").chmod(0)
    with pytest.raises(SourceError, match=r"Bo/1.jpg' cannot be read"):
        list(list_folder(tmp_path, "s"))


def test_a_path_that_leads_nowhere_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / ("x" * 300), tmp_path / "loop"):
        with pytest.raises(SourceError, match="cannot be reached"):
            survey_folder(path)
