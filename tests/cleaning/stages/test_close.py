"""Ending batches: what people answer until the very end counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cleaning.stages.close import take_back

MakeWorld = Callable[..., Any]


def test_what_too_few_answered_is_taken_back(review_world: MakeWorld) -> None:
    world = review_world(overlap=2)
    first, second = world.batch("ab cd"), world.batch("ef", 2)
    world.push(first, second)
    ab, cd = (item.key for item in first.items)
    for key, who in ((ab, "kim"), (ab, "lee"), (cd, "kim")):
        world.server.answer(key, who)
    names = ["pairs-0001", "pairs-0002"]
    assert dict(take_back(world.exchange, names, world.pull)) == {"pairs-0001": 1, "pairs-0002": 1}
    assert [body.key for _, body in world.server.tasks.values()] == [ab]
    assert [row.key for row in world.folder.answers()] == [ab, ab, cd]
    assert dict(take_back(world.exchange, names, world.pull)) == dict.fromkeys(names, 0)


def test_an_answer_given_while_tasks_are_listed_is_not_lost(review_world: MakeWorld) -> None:
    world = review_world(overlap=1)
    batch = world.batch("ab cd")
    world.push(batch)
    ab, cd = (item.key for item in batch.items)
    listed = world.server.task_ids

    def slow(project: int) -> dict[str, int]:
        ids: dict[str, int] = listed(project)
        world.server.answer(ab, "kim")
        return ids

    world.server.task_ids = slow
    assert list(take_back(world.exchange, ["pairs-0001"], world.pull)) == [("pairs-0001", 1)]
    assert world.words() == {"ab": "same"}
    assert [body.key for _, body in world.server.tasks.values()] == [ab]
    assert cd not in {row.key for row in world.folder.answers()}
