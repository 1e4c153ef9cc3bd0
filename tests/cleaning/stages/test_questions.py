"""What is asked next: pairs and controls, what seniors are asked, and which galleries are grids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from cleaning.review.items import PersonAnswer
from cleaning.stages.material import Material
from cleaning.stages.photo_decisions import Judged
from cleaning.stages.questions import Planner, known_decisions
from facedata.recipe import Recipe
from facedata.records import ImageRecord, PhotoRecord
from facedata.review import Answer, Kind, Pair, PairEvidence
from facedata.stages import StageResult
from facedata.storage import Storage

NAMES = "abcd"
PHOTOS = 3


def photo_record(image: str) -> PhotoRecord:
    values: dict[str, Any] = dict.fromkeys(field.name for field in fields(PhotoRecord))
    return PhotoRecord(**{**values, "image_id": image})


def pair_evidence(pair: str, similarity: float) -> PairEvidence:
    a, b = pair
    return PairEvidence(
        identity_a=a,
        identity_b=b,
        max_similarity=similarity,
        face_a=f"{a}0-0",
        face_b=f"{b}0-0",
        centroid_similarity=similarity,
        close_pairs=1,
        photos_a=PHOTOS,
        photos_b=PHOTOS,
    )


@dataclass
class Desk:
    """Four identities, candidates among them, and a review of them in memory."""

    world: Any
    material: Material
    answered: Callable[..., Any]

    def decide(self, pair: str, word: str, by: str = "kim", kind: str = "pairs") -> None:
        self.world.folder.append_decisions([self.answered(*pair, word, by, kind)])

    def planner(self, gold: Mapping[Pair, Answer] | None = None, **review: Any) -> Planner:
        options = {"backend": "label-studio", "overlap": 2, "borderline": 0, **review}
        recipe = Recipe(name="people", sources=[{"folder": {"path": "x"}}], review=options)
        return Planner(recipe, self.material, gold or {})

    def asked(self, kind: Kind, **review: Any) -> list[str]:
        batch = self.planner(**review).plan(kind)
        return [] if batch is None else ["".join(pair_of(item)) for item in batch.items]


def pair_of(item: Any) -> tuple[str, str]:
    return (item.a.identity, item.b.identity)


@pytest.fixture
def desk(review_world: Any, row: Any, measured: Any, answered: Any) -> Desk:
    world = review_world()
    images = [(f"{name}{n}", name) for name in NAMES for n in range(PHOTOS)]
    rows = [row(image, name) for image, name in images]
    directions = {f"{image}-0": [1.0, ord(name) - 96.0, 0.0] for image, name in images}
    photos = {image: photo_record(image) for image, _ in images}
    stage = StageResult(
        stage="inter", key="k", folder="f", files={}, counts={}, facts={"threshold": 0.3}
    )
    material = Material(
        folder=world.folder,
        ingested=stage,
        parts=[],
        intra=replace(
            stage,
            facts={
                "calibration": {
                    "readmit": 0.3,
                    "pairs": {"different": {"location": 0.0}, "same_median": 0.6},
                }
            },
        ),
        inter=stage,
        models={"rec.onnx": "0123456789abcdef"},
    )
    # What would be read from the files of stages.
    vars(material).update(
        rows=rows,
        judged=Judged(rows=rows, changes="", seen=0),
        images=[
            ImageRecord(
                image_id=image,
                source="folder",
                source_uri=f"{name}/{image}.jpg",
                claimed_identity=name,
                location="",
                size_bytes=1,
            )
            for image, name in images
        ],
        measured=replace(measured(directions), photos=photos),
        candidates=[],
        evidence=[
            pair_evidence(pair, 0.8 - 0.1 * n)
            for n, pair in enumerate(("ab", "bc", "ac", "cd", "ad", "bd"))
        ],
    )
    return Desk(world, material, answered)


def test_the_nearest_first_and_none_that_the_batch_may_spare(desk: Desk) -> None:
    assert desk.asked(Kind.PAIRS)[0] == "ab"
    assert desk.asked(Kind.PAIRS, batch=1) == ["ab"]
    # a = b and b = c would spare asking about a and c.
    assert "ac" not in desk.asked(Kind.PAIRS)[:2]


def test_nothing_is_asked_twice(desk: Desk) -> None:
    asked: list[str] = []
    planner = desk.planner(batch=2)
    while batch := planner.plan(Kind.PAIRS):
        asked += ["".join(pair_of(item)) for item in batch.items]
        assert batch.name == f"pairs-{(len(asked) + 1) // 2:04d}"
    assert sorted(asked) == sorted(set(asked))
    desk.decide("ab", "different")
    desk.decide("bc", "unsure")
    assert not {"ab", "bc"} & set(desk.asked(Kind.PAIRS))


def test_a_pair_taken_back_is_asked_again_with_another_key(desk: Desk) -> None:
    first = desk.planner(batch=1).plan(Kind.PAIRS)
    assert first is not None
    desk.world.folder.plan(first)
    desk.world.folder.mark_closed(first.name)
    desk.decide("ab", "same")
    desk.decide("ab", "pending")
    second = desk.planner(batch=1).plan(Kind.PAIRS)
    assert second is not None
    assert pair_of(second.items[0]) == pair_of(first.items[0]) == ("a", "b")
    assert second.items[0].key != first.items[0].key


def test_controls_look_like_questions_and_are_never_one_of_them(desk: Desk) -> None:
    gold = {("a", "b"): Answer.SAME, ("c", "d"): Answer.DIFFERENT}
    known = known_decisions(desk.material, gold, "2026-03-01T10:00:00+00:00")
    assert [(row.pair, row.decision, row.decided_by) for row in known] == [
        (("a", "b"), "same", "known answers"),
        (("c", "d"), "different", "known answers"),
    ]
    desk.world.folder.append_decisions(known)
    # One of them is taken back, so it is a question again.
    desk.decide("ab", "pending")
    batch = desk.planner(gold, gold_share=0.5).plan(Kind.PAIRS)
    assert batch is not None
    golds = {pair_of(item): item.gold for item in batch.items}
    assert golds[("a", "b")] == ""
    assert golds[("c", "d")] == "different"
    assert len({item.key for item in batch.items}) == len(batch.items)
    assert known_decisions(desk.material, gold, "later") == []


def contradict(desk: Desk) -> None:
    desk.decide("ab", "same", "kim, lee")
    desk.decide("bc", "same", "kim")
    desk.decide("ac", "different", "kim, lee")


def test_a_contradiction_goes_to_seniors_with_what_was_said(desk: Desk) -> None:
    contradict(desk)
    batch = desk.planner().plan(Kind.SENIOR)
    assert batch is not None
    assert batch.overlap == 1
    # The answer of one person is the most suspicious.
    assert pair_of(batch.items[0]) == ("b", "c")
    earlier = {"".join(pair_of(item)): item.earlier for item in batch.items}
    assert earlier == {
        "ab": "same (kim, lee)",
        "bc": "same (kim)",
        "ac": "different (kim, lee)",
    }


@pytest.mark.parametrize("words", [("same", "same", "same"), ("same", "same", "different")])
def test_a_senior_is_asked_once_whatever_the_answers(desk: Desk, words: Iterable[str]) -> None:
    contradict(desk)
    for pair, word in zip(("ab", "bc", "ac"), words, strict=True):
        desk.decide(pair, word, "sam", "senior")
    assert desk.asked(Kind.SENIOR) == []


def test_what_waits_for_a_senior_is_asked_of_nobody_else(desk: Desk) -> None:
    contradict(desk)
    planner = desk.planner()
    senior = planner.plan(Kind.SENIOR)
    assert senior is not None
    assert planner.plan(Kind.SENIOR) is None
    pairs = planner.plan(Kind.PAIRS)
    asked = {pair_of(item) for item in pairs.items} if pairs else set()
    assert not asked & {pair_of(item) for item in senior.items}


def answer_as_two(desk: Desk, words: tuple[str, str], mixed: str = "") -> None:
    """Both people answer about a and b in a batch that is over."""
    batch = desk.planner(batch=1).plan(Kind.PAIRS)
    assert batch is not None
    desk.world.folder.plan(batch)
    desk.world.folder.mark_closed(batch.name)
    rows = [
        PersonAnswer(
            batch=batch.name,
            key=batch.items[0].key,
            annotator=who,
            answer=word,
            answered_at="2026-03-01T10:00:00+00:00",
            annotation=f"1/{who}",
            mixed=(mixed,) if mixed else (),
        )
        for who, word in zip(("kim", "lee"), words, strict=True)
    ]
    desk.world.folder.append_answers(rows)


def test_a_tie_goes_to_a_senior_unless_people_agreed_later(desk: Desk) -> None:
    answer_as_two(desk, ("same", "different"))
    desk.decide("ab", "unsure", "kim, lee")
    assert desk.asked(Kind.SENIOR) == ["ab"]
    desk.decide("ab", "pending", "sam", "")
    assert desk.asked(Kind.SENIOR) == []
    desk.decide("ab", "same", "kim, lee")
    assert desk.asked(Kind.SENIOR) == []


def test_a_mixed_gallery_becomes_a_grid_of_its_photos(desk: Desk, said: Any) -> None:
    answer_as_two(desk, ("different", "different"), mixed="b")
    batch = desk.planner().plan(Kind.PHOTOS)
    assert batch is not None
    (grid,) = batch.items
    assert grid.reference.identity == "b"
    assert [photo.image_id for photo in grid.photos] == ["b0", "b1", "b2"]
    decided = [said("b0", "b", "wrong"), said("b1", "b", "right"), said("b2", "b", "pending")]
    desk.world.folder.append_photo_decisions(decided)
    again = desk.planner().plan(Kind.PHOTOS)
    assert again is not None
    assert [photo.image_id for photo in again.items[0].photos] == ["b2"]


def test_the_workspace_is_read_once_for_many_batches(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = desk.planner(batch=1)
    reads: list[str] = []
    read = Storage.read

    def counted(self: Storage, relative: str) -> bytes:
        reads.append(relative)
        return read(self, relative)

    monkeypatch.setattr(Storage, "read", counted)
    while planner.plan(Kind.PAIRS):
        pass
    assert len(reads) <= 2
