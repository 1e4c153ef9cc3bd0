"""Which part of a path names the person, at any nesting."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawlers.importers.folder import list_folder, survey_folder
from crawlers.importers.identity_rule import identity_rule
from facedata.errors import SourceError


@pytest.mark.parametrize(
    ("rule", "path", "name"),
    [
        (1, "Ann/1.jpg", "Ann"),
        (1, "Ann/2019/1.jpg", "Ann"),
        (1, "1.jpg", None),
        (2, "train/Ann/1.jpg", "Ann"),
        (2, "Ann/1.jpg", None),
        (-1, "a/b/c/Ann/1.jpg", "Ann"),
        (-1, "Ann/1.jpg", "Ann"),
        (-1, "1.jpg", None),
        (-2, "Ann/2019/1.jpg", "Ann"),
        (-2, "Ann/1.jpg", None),
        (r"([^/]+)_\d+\.jpg$", "set/Ann Lee_0001.jpg", "Ann Lee"),
        (r"([^/]+)_\d+\.jpg$", "set/Ann Lee.png", None),
        (r"(train|test)/(?P<identity>[^/]+)/", "test/Zoë/x/1.jpg", "Zoë"),
    ],
)
def test_the_name_in_a_path(rule: int | str, path: str, name: str | None) -> None:
    assert identity_rule(rule).name_of(path) == name


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def test_people_below_other_folders(tmp_path: Path) -> None:
    put(tmp_path, "train/Ann/1.jpg", "test/Ann/1.jpg", "train/Bo/1.jpg", "train/stray.jpg")
    (tmp_path / "test" / "Eve").mkdir()
    survey = survey_folder(tmp_path, identity_rule(2))
    rows = list(list_folder(tmp_path, "s", survey))
    assert [(row.claimed_identity, row.source_uri) for row in rows] == [
        ("Ann", "test/Ann/1.jpg"),
        ("Ann", "train/Ann/1.jpg"),
        ("Bo", "train/Bo/1.jpg"),
    ]
    assert survey.merged_people == ()
    assert survey.warnings() == [
        f"{tmp_path}: 'train/stray.jpg' in no person's folder left out; "
        "expected <folder>/…/<identity>/<image>",
        f"{tmp_path}: no image for 'Eve'",
    ]


def test_people_in_file_names(tmp_path: Path) -> None:
    put(tmp_path, "Ann_1.jpg", "Ann_2.jpg", "more/Bo_1.jpg", "other.jpg")
    survey = survey_folder(tmp_path, identity_rule(r"([^/]+)_\d+"))
    assert [file.identity for file in survey.files] == ["Ann", "Ann", "Bo"]
    assert survey.stray_files == ("other.jpg",)


def test_a_rule_that_fits_nothing_says_what_it_expects(tmp_path: Path) -> None:
    put(tmp_path, "Ann/1.jpg")
    with pytest.raises(SourceError, match=r"expected paths that match '\(x\+\)_'"):
        survey_folder(tmp_path, identity_rule("(x+)_"))
