"""The celebrity web as planned: who is listed, and what the galleries show."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.web import PhotoKind, plan_web


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
