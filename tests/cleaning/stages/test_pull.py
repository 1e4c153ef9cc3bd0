"""A pull that is killed anywhere, and done again, leaves the logs of one that was not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cleaning.review.items import Batch, GridItem, PhotoView, Side
from cleaning.stages.pull import Pull
from facedata.review import PENDING, Kind
from facedata.storage import Storage

MakeWorld = Callable[..., Any]
LOGS = ("people/answers.jsonl", "people/decisions.jsonl", "people/photo_decisions.jsonl")
LATER = "2026-03-03T10:00:00+00:00"


def grid(number: int = 1) -> Batch:
    photos = tuple(
        PhotoView(image_id=f"image-{n}", face_id=f"a-{n}", similarity=0.5, kept=True)
        for n in range(3)
    )
    reference = Side(identity="a", photos=3, faces=("a-0", "a-1"))
    item = GridItem(key=f"{number:020d}", reference=reference, photos=photos, why="Near the cut.")
    return Batch(
        name=f"photos-{number:04d}", kind=Kind.PHOTOS, overlap=1, model="rec 0123", items=(item,)
    )


def wrong(*images: str) -> dict[str, Any]:
    return {"from_name": "wrong", "type": "choices", "value": {"choices": list(images)}}


def answered(world: Any) -> Any:
    """Push pairs and a grid, and have two people answer; some take it back or change it."""
    batch, photos = world.batch("ab cd ef"), grid()
    world.push(batch, photos)
    ab, cd, ef = (item.key for item in batch.items)
    for key, words in ((ab, ("same", "same")), (cd, ("same", "different"))):
        for who, word in zip(("kim", "lee"), words, strict=True):
            world.server.answer(key, who, word)
    world.server.answer(photos.items[0].key, "kim", "unsure")
    world.pull()
    back = world.server.answer(ef, "kim")
    world.server.answer(ef, "lee")
    world.pull()
    world.server.edit(back, None)
    world.server.answer(cd, "max", "same")
    return world


def logs(world: Any) -> dict[str, bytes]:
    return {name: data for name, data in world.files().items() if name in LOGS}


def test_the_client_is_killed_at_any_write(
    review_world: MakeWorld, killed: type[BaseException]
) -> None:
    undisturbed = answered(review_world("undisturbed"))
    pulled = undisturbed.pull(LATER)
    # One taken back, one more voice that ends a tie.
    assert (pulled.answers, len(pulled.decisions)) == (2, 2)
    killings = 0
    for write in range(1, 6):
        world = answered(review_world(f"client-{write}"))
        world.storage.dies_at = write
        try:
            world.pull(LATER)
        except killed:
            killings += 1
            world.pull(LATER)
        world.storage.dies_at = 0
        assert logs(world) == logs(undisturbed)
        assert world.pull(LATER).answers == 0
        assert logs(world) == logs(undisturbed)
    # Answers, decisions, the note how far it is.
    assert killings == 3


def test_pulling_again_adds_nothing(review_world: MakeWorld) -> None:
    world = answered(review_world())
    world.pull(LATER)
    before = logs(world)
    pulled = world.pull(LATER)
    assert (pulled.answers, pulled.decisions, pulled.photo_decisions) == (0, (), ())
    assert logs(world) == before


def test_an_edited_answer_is_a_new_row_and_a_new_decision(review_world: MakeWorld) -> None:
    world = review_world(overlap=1)
    (item,) = world.batch("ab").items
    world.push(world.batch("ab"))
    given = world.server.answer(item.key, "kim", "same")
    world.pull()
    world.server.edit(given, "different")
    pulled = world.pull(LATER)
    assert [row.decision for row in pulled.decisions] == ["different"]
    assert [row.decision for row in world.folder.decisions()] == ["same", "different"]
    assert [row.answer for row in world.folder.answers()] == ["same", "different"]


def test_a_deleted_answer_opens_the_pair_again(review_world: MakeWorld) -> None:
    world = review_world(overlap=1)
    (item,) = world.batch("ab").items
    world.push(world.batch("ab"))
    given = world.server.answer(item.key, "kim", "same")
    assert world.pull().complete == ("pairs-0001",)
    world.server.edit(given, None)
    (decision,) = world.pull(LATER).decisions
    assert (decision.decision, decision.decided_at) == (PENDING, LATER)
    # A pull much later finds nothing to add.
    assert world.pull("2026-04-01T10:00:00+00:00").decisions == ()
    assert [row.answer for row in world.folder.answers()] == ["same", "withdrawn"]


def test_a_deleted_grid_answer_opens_its_photos_again(review_world: MakeWorld) -> None:
    world = review_world(overlap=1)
    world.push(grid())
    key = grid().items[0].key
    there = world.server.answer(key, "kim", "unsure")
    world.pull()
    assert {row.decision for row in world.folder.photo_decisions()} == {"unsure"}
    world.server.edit(there, None)
    world.pull(LATER)
    rows = world.folder.photo_decisions()
    assert [row.decision for row in rows] == ["unsure"] * 3 + [PENDING] * 3
    assert world.pull(LATER).photo_decisions == ()


def test_a_task_that_is_there_twice_takes_nothing_back(review_world: MakeWorld) -> None:
    world = review_world(overlap=2)
    (item,) = world.batch("ab").items
    world.push(world.batch("ab"))
    world.server.answer(item.key, "kim", "same")
    world.pull()
    ((_, where),) = world.server.tasks.items()
    world.server.tasks[900] = where
    world.server.answer(item.key, "lee", "same")
    pulled = world.pull(LATER)
    assert (pulled.answers, len(pulled.decisions)) == (1, 1)
    assert [row.answer for row in world.folder.answers()] == ["same", "same"]


def test_one_person_who_answers_twice_has_one_voice(review_world: MakeWorld) -> None:
    world = review_world(overlap=2)
    (item,) = world.batch("ab").items
    world.push(world.batch("ab"))
    world.server.answer(item.key, "kim", "same")
    world.server.answer(item.key, "kim", "different")
    pulled = world.pull()
    assert (pulled.answers, pulled.decisions, pulled.complete) == (2, (), ())
    world.server.answer(item.key, "lee", "different")
    (decision,) = world.pull(LATER).decisions
    assert (decision.decision, decision.decided_by) == ("different", "kim, lee")


def test_a_person_renamed_on_the_server_is_no_second_voice(review_world: MakeWorld) -> None:
    world = review_world(overlap=2)
    (item,) = world.batch("ab").items
    world.push(world.batch("ab"))
    given = world.server.answer(item.key, "kim", "same")
    world.pull()
    ((number, there),) = world.server.given.items()
    world.server.given[number] = [type(there[0])(**{**as_dict(there[0]), "annotator": "kimberly"})]
    assert world.pull(LATER).answers == 0
    world.server.edit(given, "different")
    assert world.pull(LATER).decisions == ()
    assert {row.annotator for row in world.folder.answers()} == {"kim"}


def as_dict(annotation: Any) -> dict[str, Any]:
    return {name: getattr(annotation, name) for name in annotation.__dataclass_fields__}


def test_undo_stays_when_the_answer_is_pulled_again(review_world: MakeWorld) -> None:
    world = review_world(overlap=1)
    (item,) = world.batch("ab").items
    world.push(world.batch("ab"))
    world.server.answer(item.key, "kim", "same")
    world.pull()
    (decision,) = world.folder.decisions()
    undone = {**as_dict(decision), "decision": PENDING, "kind": "", "decided_by": "sam"}
    world.folder.append_decisions([type(decision)(**undone)])
    world.storage.remove(world.folder.path("pulled.json"))
    pulled = world.pull(LATER)
    assert (pulled.answers, pulled.decisions) == (0, ())
    assert world.words() == {"ab": PENDING}


def test_an_answer_to_a_closed_batch_counts(review_world: MakeWorld) -> None:
    world = review_world(overlap=2)
    batch = world.batch("ab cd")
    world.push(batch)
    ab, _ = (item.key for item in batch.items)
    world.server.answer(ab, "kim")
    world.pull()
    world.folder.mark_closed("pairs-0001")
    world.server.answer(ab, "lee")
    pulled = world.pull(LATER)
    assert (pulled.answers, len(pulled.decisions), pulled.complete) == (1, 1, ())


def test_what_cannot_be_read_is_said_and_left_alone(review_world: MakeWorld) -> None:
    world = review_world(overlap=1)
    batch = world.batch("ab cd")
    world.push(batch)
    ab, cd = (item.key for item in batch.items)
    world.server.answer(ab, "kim", "twins")
    world.server.answer(cd, "kim", "same")
    ((number, (project, body)), *_) = world.server.tasks.items()
    foreign = type(body)(key="", data={"text": "by hand"})
    world.server.tasks[901] = (project, foreign)
    world.server.answer("", "kim")
    pulled = world.pull()
    assert pulled.answers == 1
    assert sorted(pulled.problems) == [
        f"pairs: task {number} the answer 'twins' is unknown; was the labelling page edited?",
        "pairs: task 901 is not one of ours; it is left alone",
    ]
    assert world.words() == {"cd": "same"}


@pytest.mark.parametrize("tail", [b'{"annotation": "1/2", "annot', b"\xc3", b"   "])
def test_a_row_that_was_cut_off_is_written_again(review_world: MakeWorld, tail: bytes) -> None:
    world = answered(review_world())
    path = world.storage.local_path(world.folder.path("answers.jsonl"))
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    world.pull(LATER)
    assert path.read_bytes().startswith(whole + b'{"annotation"')
    assert len(world.folder.answers()) == whole.count(b"\n") + 2


def test_a_last_row_without_its_line_end_is_kept(review_world: MakeWorld) -> None:
    world = answered(review_world())
    path = world.storage.local_path(world.folder.path("answers.jsonl"))
    whole = path.read_bytes()
    path.write_bytes(whole.rstrip(b"\n"))
    world.pull(LATER)
    assert path.read_bytes().startswith(whole)
    assert len(world.folder.answers()) == whole.count(b"\n") + 2


def test_a_change_while_pages_are_listed_is_not_missed(review_world: MakeWorld) -> None:
    world = review_world(overlap=1)
    batch = world.batch("ab cd")
    world.push(batch)
    ab, cd = (item.key for item in batch.items)
    world.server.answer(ab, "kim")
    first = world.server.changed_tasks

    def slow(project: int, since: str | None) -> Any:
        yield from list(first(project, since))
        # The first page is through; on the second one stands what was answered after that.
        world.server.changed_tasks = first
        world.server.answer(ab, "lee", "different")
        world.server.answer(cd, "lee", "different")
        yield from [task for task in first(project, since) if task.key == cd]

    world.server.changed_tasks = slow
    world.pull("2026-03-01T10:01:30+00:00")
    assert world.words() == {"ab": "same", "cd": "different"}
    world.pull("2026-03-01T10:10:00+00:00")
    assert len(world.folder.answers()) == 3


def test_a_batch_whose_end_nobody_noted_is_complete_again(review_world: MakeWorld) -> None:
    world = review_world(overlap=1)
    batch = world.batch("ab cd")
    world.push(batch, world.batch("ef", 2))
    for item in batch.items:
        world.server.answer(item.key, "kim")
    # As when the process ends right after the pull.
    assert Pull(world.exchange, LATER).run().complete == ("pairs-0001",)
    pulled = Pull(world.exchange, LATER).run()
    assert (pulled.answers, pulled.complete) == (0, ("pairs-0001",))


def test_many_rows_of_one_question_do_not_complete_a_batch(review_world: MakeWorld) -> None:
    world = review_world(overlap=1)
    batch = world.batch("ab cd")
    world.push(batch)
    for word in ("same", "different", "unsure"):
        world.server.answer(batch.items[0].key, "kim", word)
    assert world.pull().complete == ()


def test_plans_of_batches_without_news_are_not_read(
    review_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = review_world(overlap=1)
    batches = [world.batch("ab cd"), world.batch("ef gh", 2), world.batch("ij kl", 3)]
    world.push(*batches)
    for batch in batches:
        world.server.answer(batch.items[0].key, "kim")
    world.pull()
    reads: list[str] = []
    read = Storage.read

    def counted(self: Storage, relative: str) -> bytes:
        reads.append(relative)
        return read(self, relative)

    monkeypatch.setattr(Storage, "read", counted)
    world.server.answer(batches[1].items[1].key, "kim")
    assert world.pull(LATER).complete == ("pairs-0002",)
    plans = [path for path in reads if path.endswith("plan.json")]
    assert plans == ["review/people/batches/pairs-0002/plan.json"]
