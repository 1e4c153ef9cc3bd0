"""The celebrity web: what is planned, what lands on disk, and the truth that goes with it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.web import PhotoKind, Web, plan_web, write_web


@pytest.fixture(scope="module")
def plan() -> Web:
    return plan_web(5, people=6, photos_per_person=6)


@pytest.fixture(scope="module")
def written(plan: Web, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web")
    write_web(plan, folder, processes=1)
    return folder


@settings(max_examples=15)
@given(st.integers(0, 500))
def test_the_plan_is_a_function_of_the_seed(seed: int) -> None:
    assert plan_web(seed, 8, 6) == plan_web(seed, 8, 6)


@settings(max_examples=15)
@given(st.integers(0, 500))
def test_one_person_has_two_names_and_one_pair_looks_alike(seed: int) -> None:
    web = plan_web(seed, 24, 16)
    ids = {person.name: person.person_id for person in web.people}
    assert len(ids) == len({person.slug for person in web.people}) == 24
    ((one, other),) = web.same_person
    assert ids[one] == ids[other] is not None
    ((elder, younger),) = web.look_alikes
    assert ids[elder] != ids[younger]
    assert ids[younger] is not None
    assert ids[younger].startswith(f"{ids[elder]}s")
    assert list(ids.values()).count(None) == 1


def test_about_a_sixth_of_a_gallery_is_somebody_else() -> None:
    kinds = Counter(
        photo.kind
        for person in plan_web(1).people
        if person.person_id is not None
        for photo in person.photos
    )
    share = kinds[PhotoKind.WRONG_PERSON] / (
        kinds[PhotoKind.WRONG_PERSON] + kinds[PhotoKind.GENUINE]
    )
    assert 0.12 < share < 0.22
    assert min(kinds[kind] for kind in PhotoKind) >= 3


def test_kinds_mean_what_they_say() -> None:
    for person in plan_web(2).people:
        for photo in person.photos:
            if photo.kind is PhotoKind.GENUINE:
                assert photo.subject == person.person_id
            if photo.kind is PhotoKind.WRONG_PERSON:
                assert photo.subject not in (None, person.person_id)
            assert (photo.kind is PhotoKind.NO_FACE) == (photo.subject is None)


def test_too_small_a_web_is_refused() -> None:
    with pytest.raises(ValueError, match="6 people and 5 photos"):
        plan_web(1, 5, 16)


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
