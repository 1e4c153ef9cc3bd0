"""What was asked before: so that nothing is asked twice, and every answer finds its question."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cleaning.review.items import question_key
from cleaning.stages.asked import Asked, Questions
from cleaning.stages.batch_index import index_of, subject_text
from facedata.review import Kind

MakeWorld = Callable[..., Any]


@pytest.fixture
def world(review_world: MakeWorld) -> Any:
    made = review_world()
    for batch in (
        made.batch("ab cd"),
        made.batch("ab", 2, times=1),
        made.batch("ef", 1, Kind.SENIOR),
    ):
        made.folder.plan(batch)
    made.folder.mark_closed("pairs-0001")
    return made


def test_what_waits_is_in_open_batches(world: Any) -> None:
    asked = Asked(world.folder)
    assert asked.waiting(Kind.PAIRS) == {("a", "b")}
    assert asked.waiting(Kind.PAIRS, Kind.SENIOR) == {("a", "b"), ("e", "f")}
    assert asked.waiting(Kind.AUDIT) == set()
    assert [asked.times(Kind.PAIRS, subject_text([pair])) for pair in (("a", "b"), ("c", "d"))] == [
        2,
        1,
    ]
    assert asked.times(Kind.PAIRS, subject_text([("e", "f")])) == 0
    assert asked.next_name(Kind.PAIRS) == "pairs-0003"
    assert asked.next_name(Kind.PHOTOS) == "photos-0001"


def test_a_batch_planned_since_counts(world: Any) -> None:
    asked = Asked(world.folder)
    asked.add(index_of(world.batch("gh", 3)))
    assert ("g", "h") in asked.waiting(Kind.PAIRS)
    assert (asked.batches(Kind.PAIRS), asked.next_name(Kind.PAIRS)) == (3, "pairs-0004")


def test_questions_are_found_in_open_and_closed_batches(world: Any) -> None:
    questions = Questions(world.folder)
    for name, pair, times in (("pairs-0001", "cd", 0), ("pairs-0002", "ab", 1)):
        key = question_key(Kind.PAIRS, list(pair), times)
        assert questions.find(Kind.PAIRS, key) == name
        (item,) = world.folder.batch_with(name, {key}).items
        assert (item.a.identity, item.b.identity) == tuple(pair)


def test_a_batch_of_before_has_no_index_and_needs_none(world: Any) -> None:
    before = world.folder.index("pairs-0001")
    world.storage.remove(world.folder.path("batches/pairs-0001/index.json"))
    assert world.folder.index("pairs-0001") == before
    assert Asked(world.folder).batches(Kind.PAIRS) == 2


@pytest.mark.parametrize("key", ["", "by hand", question_key(Kind.SENIOR, ["e", "f"], 0)])
def test_a_key_that_nobody_asked_in_this_kind(world: Any, key: str) -> None:
    assert Questions(world.folder).find(Kind.PAIRS, key) is None
