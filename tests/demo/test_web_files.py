"""The celebrity web on disk: every planned photo, copies that are copies, and the truth."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo.web import PhotoKind, Web, plan_web
from demo.web_files import write_web


@pytest.fixture(scope="module")
def plan() -> Web:
    return plan_web(5, people=6, photos_per_person=6)


@pytest.fixture(scope="module")
def written(plan: Web, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web")
    write_web(plan, folder, processes=1)
    return folder


def test_every_planned_photo_is_on_disk_and_in_the_truth(plan: Web, written: Path) -> None:
    truth = json.loads((written / "truth.json").read_text("utf-8"))
    planned = [photo.path for person in plan.people for photo in person.photos]
    files = sorted(path.relative_to(written / "site") for path in written.rglob("*.jpg"))
    assert sorted(planned) == [str(path) for path in files] == sorted(truth["photos"])
    assert truth["same_person"] == [list(pair) for pair in plan.same_person]
    for path, facts in truth["photos"].items():
        image = cv2.imread(str(written / "site" / path))
        assert image.shape[:2] == (facts["height"], facts["width"])
        assert (facts["subject"] is None) == (facts["faces"] == [])
        if facts["faces"]:
            assert facts["faces"][0]["person_id"] == facts["subject"]


def test_duplicates_are_copies(plan: Web, written: Path) -> None:
    site = written / "site"
    copies = [photo for person in plan.people for photo in person.photos if photo.copy_of]
    assert {photo.kind for photo in copies} == {
        PhotoKind.EXACT_DUPLICATE,
        PhotoKind.NEAR_DUPLICATE,
    }
    for photo in copies:
        copied, original = (
            (site / photo.path).read_bytes(),
            (site / str(photo.copy_of)).read_bytes(),
        )
        assert (copied == original) == (photo.kind is PhotoKind.EXACT_DUPLICATE)
        a, b = (cv2.imdecode(np.frombuffer(raw, np.uint8), 1) for raw in (copied, original))
        small = cv2.resize(b, (a.shape[1], a.shape[0]), interpolation=cv2.INTER_AREA)
        assert np.abs(a.astype(float) - small).mean() < 6
