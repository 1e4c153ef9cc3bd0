from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning.review.items import AuditItem, GridItem, PersonAnswer, PhotoView
from cleaning.review.majority import (
    mixed_identities,
    pair_decision,
    photo_decisions,
    standing,
    vote,
)
from facedata.review import Decision, Kind, PhotoDecision


@pytest.fixture(scope="module")
def majority(pair_item, batch) -> Callable[[Sequence[PersonAnswer], int], str | None]:
    """The word of the decision about a pair."""

    def word(answers: Sequence[PersonAnswer], overlap: int) -> str | None:
        item = pair_item("a", "b")
        decision = pair_decision(item, batch(item, overlap=overlap), answers)
        return decision.decision if decision else None

    return word


ballots = st.dictionaries(
    st.sampled_from(["Ana", "Ben", "Cem", "Dan", "Eva"]),
    st.sampled_from(["same", "different", "unsure"]),
)


def view(image: str) -> PhotoView:
    return PhotoView(image_id=image, face_id=f"{image}-0", similarity=0.31, kept=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["same"], "same"),
        (["same", "same", "different"], "same"),
        (["same", "different"], "unsure"),
        (["same", "unsure"], "unsure"),
        (["same", "different", "unsure"], "unsure"),
        (["unsure", "unsure", "same"], "unsure"),
        (["same", "same", "different", "unsure"], "same"),
    ],
)
def test_most_votes_win_and_a_tie_is_unsure(
    says, majority, words: list[str], expected: str
) -> None:
    answers = [says(f"person {number}", word) for number, word in enumerate(words)]
    assert majority(answers, len(words)) == expected
    assert majority(answers, len(words) + 1) is None


@given(ballots, st.integers(1, 5), st.randoms(use_true_random=False))
def test_the_majority_is_what_the_votes_say_in_any_order(
    says, majority, ballot: dict[str, str], overlap: int, random: Any
) -> None:
    answers = [says(name, word) for name, word in ballot.items()]
    random.shuffle(answers)
    word = majority(answers, overlap)
    assert (word is None) == (len(ballot) < overlap)
    if word is not None:
        votes = list(ballot.values())
        counts = {said: votes.count(said) for said in votes}
        winners = [said for said, count in counts.items() if count == max(counts.values())]
        assert word == (winners[0] if len(winners) == 1 else "unsure")
        voters = vote(ballot).voters
        assert voters == tuple(
            name for name in sorted(ballot) if len(winners) > 1 or ballot[name] == word
        )


def test_the_latest_answer_of_a_person_counts_and_a_withdrawn_one_does_not(says, majority) -> None:
    answers = [
        says("Ana", "same", annotation="1"),
        says("Ben", "same", annotation="2"),
        says("Ana", "different", annotation="1"),
        says("Ben", "withdrawn", annotation="2"),
    ]
    assert standing(answers) == [answers[2]]
    assert majority(answers, 1) == "different"
    assert majority(answers, 2) is None
    assert majority([], 1) is None
    assert majority([], 0) is None


def test_of_two_annotations_by_one_person_the_later_one_counts(says) -> None:
    early = says("Ana", "same", annotation="1", answered_at="2026-01-01T10:00:00Z")
    late = says("Ana", "different", annotation="2", answered_at="2026-01-01T11:00:00Z")
    assert standing([early, late]) == standing([late, early]) == [late]
    # With the later one deleted the earlier one stands, whatever clock wrote the deletion.
    gone = says("Ana", "withdrawn", annotation="2", answered_at="2026-01-01T09:00:00Z")
    assert standing([early, late, gone]) == [early]


def test_a_decision_holds_who_when_why_and_what_they_saw(says, pair_item, batch) -> None:
    # Shown with the later name on the left.
    item = pair_item("b", "a")
    answers = [
        says("Cem", "same", answered_at="2026-01-01T10:00:00Z", note=" ears "),
        says("Ana", "same", answered_at="2026-01-01T11:00:00Z", note="same scar"),
        says("Ben", "different", answered_at="2026-01-01T12:00:00Z"),
    ]
    assert pair_decision(item, batch(item, overlap=3), answers) == Decision(
        identity_a="a",
        identity_b="b",
        decision="same",
        decided_by="Ana, Cem",
        decided_at="2026-01-01T12:00:00Z",
        note="same scar; ears",
        face_a="a-face",
        face_b="b-face",
        max_similarity=0.5,
        model="net-1234",
        kind="pairs",
    )
    assert pair_decision(item, batch(item, overlap=4), answers) is None


def test_on_a_tie_everybody_decided(says, pair_item, batch) -> None:
    item = pair_item("a", "b")
    outcome = pair_decision(item, batch(item), [says("Ben", "same"), says("Ana", "different")])
    assert outcome is not None
    assert (outcome.decision, outcome.decided_by) == ("unsure", "Ana, Ben")


def test_each_photo_of_a_grid_is_voted_on_by_clicks(says, side, batch) -> None:
    item = GridItem(
        key="g", reference=side("a"), photos=tuple(map(view, ["1", "2", "3"])), why="near the cut"
    )
    grid = batch(item, kind=Kind.PHOTOS, overlap=3)
    answers = [
        says("Ana", "seen", wrong=("1", "2")),
        says("Ben", "seen", wrong=("1", "not in the grid"), note="hat"),
        says("Cem", "unsure", wrong=("1",), answered_at="2026-01-02T00:00:00Z"),
    ]
    decisions = photo_decisions(item, grid, answers)
    assert [(row.image_id, row.decision, row.decided_by) for row in decisions] == [
        ("1", "wrong", "Ana, Ben"),
        ("2", "unsure", "Ana, Ben, Cem"),
        ("3", "right", "Ana, Ben"),
    ]
    assert decisions[0] == PhotoDecision(
        image_id="1",
        identity="a",
        face_id="1-0",
        decision="wrong",
        kind="photos",
        decided_by="Ana, Ben",
        decided_at="2026-01-02T00:00:00Z",
        note="hat",
        similarity=0.31,
        model="net-1234",
    )
    assert photo_decisions(item, grid, answers[:2]) == []


def test_an_audit_is_one_photo(says, side, batch) -> None:
    item = AuditItem(key="q", reference=side("a"), photo=view("1"))
    audit = batch(item, kind=Kind.AUDIT, overlap=1)
    (outcome,) = photo_decisions(item, audit, [says("Ana", "right")])
    assert (outcome.image_id, outcome.decision, outcome.kind) == ("1", "right", "audit")
    (tie,) = photo_decisions(item, audit, [says("Ana", "right"), says("Ben", "wrong")])
    assert tie.decision == "unsure"


def test_a_gallery_is_mixed_when_more_than_half_say_so(says, pair_item, side) -> None:
    item = pair_item("a", "b")
    answers = [
        says("Ana", "same", mixed=("a", "b")),
        says("Ben", "same", mixed=("b", "somebody else")),
        says("Cem", "same"),
        says("Dan", "withdrawn", mixed=("a",)),
    ]
    assert mixed_identities(item, answers, 3) == ["b"]
    assert mixed_identities(item, answers, 4) == []
    assert mixed_identities(item, answers[:2], 2) == ["b"]
    audit = AuditItem(key="q", reference=side("a"), photo=view("1"))
    assert mixed_identities(audit, answers[:1], 1) == ["a"]
