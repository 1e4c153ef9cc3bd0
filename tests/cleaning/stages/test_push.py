"""A push that is killed anywhere, and done again, ends as one that was not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from facedata.errors import ReviewError
from facedata.review import Kind

MakeWorld = Callable[..., Any]


def sent(world: Any) -> list[tuple[str, Any]]:
    """What is on the server, in order, without the ids that it gave."""
    titles = {number: spec.title for number, spec in world.server.projects.items()}
    return [(titles[project], body) for _, (project, body) in sorted(world.server.tasks.items())]


@pytest.fixture
def undisturbed(review_world: MakeWorld) -> Any:
    world = review_world("undisturbed")
    pushed = world.push(world.batch("ab cd ac"), world.batch("ef", 2))
    assert (pushed.tasks, dict(pushed.opened)) == (4, {"pairs-0001": 3, "pairs-0002": 1})
    return world


def images(world: Any) -> set[str]:
    return set(world.folder.storage.names(world.folder.path("images")))


def check_same(world: Any, other: Any) -> None:
    """Equal but for where the workspace lies, which the addresses of pictures do not tell.

    How many tasks there are is noted at the end of a push, so after a killed one by the next.
    """
    for one in (world, other):
        assert one.push().tasks == 0
    assert [body.key for _, body in sent(world)] == [body.key for _, body in sent(other)]
    assert sent(world) == sent(other)
    files, others = world.files(), other.files()
    assert files.keys() == others.keys()
    noted = dict.fromkeys(("people/projects.json", "people/sent.json"), b"")
    assert {**files, **noted} == {**others, **noted}
    assert [list(json.loads(held["people/sent.json"]).values()) for held in (files, others)] == [
        [4],
        [4],
    ]


def test_every_key_is_there_once(undisturbed: Any) -> None:
    assert set(Counter(body.key for _, body in sent(undisturbed)).values()) == {1}
    # One sheet and one face of each of six identities.
    assert len(images(undisturbed)) == 12


def test_the_server_is_killed_at_any_request(review_world: MakeWorld, undisturbed: Any) -> None:
    killings = 0
    for after in (False, True):
        for request in range(1, 8):
            world = review_world(f"server-{after}-{request}")
            batches = world.batch("ab cd ac"), world.batch("ef", 2)
            world.server.fail_at, world.server.after = request, after
            try:
                world.push(*batches)
            except ReviewError:
                killings += 1
                world.push(*batches)
            check_same(world, undisturbed)
    # A project made and three imports, before and after each.
    assert killings == 8


def test_the_client_is_killed_at_any_write(
    review_world: MakeWorld, undisturbed: Any, killed: type[BaseException]
) -> None:
    killings = 0
    for write in range(1, 24):
        world = review_world(f"client-{write}")
        batches = world.batch("ab cd ac"), world.batch("ef", 2)
        world.storage.dies_at = write
        try:
            world.push(*batches)
        except killed:
            killings += 1
            world.push(*batches)
        check_same(world, undisturbed)
    # Two plans, indexes and markers, notes about the project and its tasks, and 12 pictures.
    assert killings == 20


def test_a_task_deleted_by_hand_is_sent_again_unless_it_is_answered(
    review_world: MakeWorld,
) -> None:
    world = review_world(overlap=1)
    batch = world.batch("ab cd")
    world.push(batch)
    first, second = (item.key for item in batch.items)
    world.server.answer(first, "kim")
    world.pull()
    world.server.drop(first)
    world.server.drop(second)
    assert world.push(batch).tasks == 1
    assert [body.key for _, body in sent(world)] == [second]


def test_a_project_deleted_by_hand_is_made_anew_with_the_open_questions(
    review_world: MakeWorld,
) -> None:
    world = review_world()
    batch = world.batch("ab cd ef")
    world.push(batch)
    both, one, none = (item.key for item in batch.items)
    for key, who in ((both, "kim"), (both, "lee"), (one, "kim")):
        world.server.answer(key, who)
    world.pull()
    world.server.drop_project()

    (problem,) = world.pull().problems
    assert "was deleted on the server; the answers fetched so far are kept" in problem
    assert world.push(batch).tasks == 2
    assert [body.key for _, body in sent(world)] == [one, none]

    # The answer from before counts with the one that is given now.
    world.server.answer(one, "lee")
    pulled = world.pull()
    assert (pulled.answers, len(pulled.decisions), pulled.complete) == (1, 1, ())
    assert world.words() == {"ab": "same", "cd": "same"}
    for who in ("kim", "lee"):
        world.server.answer(none, who, "different")
    assert world.pull().complete == ("pairs-0001",)


def test_pictures_of_questions_on_the_server_are_not_made_again(review_world: MakeWorld) -> None:
    world = review_world()
    world.push(world.batch("ab"))
    before = images(world)
    world.push(world.batch("ab"), world.batch("ac", 2))
    # Identity c is new; identity a has its pictures.
    assert len(images(world) - before) == 2


def test_a_project_is_listed_only_when_tasks_are_gone(review_world: MakeWorld) -> None:
    world = review_world()
    first, second = world.batch("ab cd"), world.batch("ef", 2)
    assert world.push(first).tasks == 2
    assert world.push(first, second).tasks == 1
    assert world.server.lists == 0
    # One made by hand hides none that was deleted.
    number = next(iter(world.server.tasks))
    project, body = world.server.tasks[number]
    world.server.tasks[900] = (project, type(body)(key="", data={"text": "by hand"}))
    assert (world.push(first, second).tasks, world.server.lists) == (0, 0)
    world.server.drop(second.items[0].key)
    assert (world.push(first, second).tasks, world.server.lists) == (1, 1)
    assert (world.push(first, second).tasks, world.server.lists) == (0, 1)


def test_a_server_at_another_address_has_projects_of_its_own(review_world: MakeWorld) -> None:
    world = review_world()
    world.push(world.batch("ab"))
    path = world.folder.path("projects.json")
    noted = json.loads(world.storage.read(path))
    assert set(noted) == {"pairs", "server"}
    world.storage.write(path, json.dumps({**noted, "server": "http://elsewhere"}).encode())
    # The same server under another name: its project has the title.
    assert world.exchange.known_projects() == {Kind.PAIRS: noted["pairs"]}
    ((number, spec),) = world.server.projects.items()
    world.server.projects[number] = type(spec)(
        **{name: getattr(spec, name) for name in spec.__dataclass_fields__} | {"title": "others"}
    )
    assert world.exchange.known_projects() == {}
    before = dict(world.server.tasks)
    assert world.push(world.batch("ab")).tasks == 1
    assert world.server.tasks.items() > before.items()
    assert json.loads(world.storage.read(path)) == {"pairs": number + 2, "server": noted["server"]}


def test_pictures_are_made_with_bounded_memory(
    review_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, at_once = review_world(), review_world("at once")
    batch = world.batch("ab cd ef")
    at_once.push(batch)
    monkeypatch.setattr("cleaning.stages.pictures._FACES_AT_ONCE", 3)
    world.push(batch)
    pictures = [
        {name: data for name, data in one.files().items() if "images/" in name}
        for one in (world, at_once)
    ]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 12
