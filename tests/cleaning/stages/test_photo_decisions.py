"""People's word about single photos: what it changes in the ledger, and what it never does."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning.stages.photo_decisions import (
    apply_photo_decisions,
    decisions_at_release,
    judge,
    rejected_faces,
)
from facedata.ledger import Reason, check_complete
from facedata.records import LedgerRow
from facedata.review import Kind

MOVED = Reason.BELONGS_TO_OTHER
UNUSABLE = [
    Reason.EMPTY_FILE,
    Reason.UNREADABLE,
    Reason.TOO_LARGE,
    Reason.NO_FACE,
    Reason.FACE_TOO_SMALL,
]


def fates(rows: list[LedgerRow]) -> list[tuple[str, str, str | None]]:
    return [(r.outcome, r.reason, r.identity) for r in rows]


@pytest.mark.parametrize(
    "reason",
    [
        Reason.MAIN_CLUSTER,
        Reason.READMITTED,
        Reason.OUTLIER,
        Reason.SAME_FACE_CLAIMED_TWICE,
        Reason.NO_MAIN_CLUSTER,
        Reason.TAKEN_OVER,
        Reason.SINGLE_PHOTO,
    ],
)
def test_the_word_of_people_outranks_the_cleaning(row: Any, said: Any, reason: Reason) -> None:
    rows = [row("1", "A", reason), row("2", "A", reason)]
    wrong = apply_photo_decisions(rows, [said("1", "A", "wrong")])
    assert fates(wrong)[0] == ("dropped", "rejected", None)
    right = apply_photo_decisions(rows, [said("1", "A", "right")])
    assert fates(right)[0] == ("kept", "confirmed", "A")
    assert wrong[1] == right[1] == rows[1]
    assert (right[0].face_id, right[0].det_score, right[0].similarity) == ("1-0", 0.875, 0.5)


@pytest.mark.parametrize("word", ["unsure", "pending"])
def test_not_knowing_changes_nothing(row: Any, said: Any, word: str) -> None:
    rows = [row("1", "A"), row("2", "A", Reason.OUTLIER)]
    log = [said("1", "A", "wrong"), said("1", "A", word), said("2", "A", word)]
    assert apply_photo_decisions(rows, log) == rows


@pytest.mark.parametrize("reason", [*UNUSABLE, Reason.DUPLICATE, Reason.NEAR_DUPLICATE])
@pytest.mark.parametrize("word", ["wrong", "right"])
def test_unusable_photos_and_copies_stay_what_they_are(
    row: Any, said: Any, reason: Reason, word: str
) -> None:
    rows = [row("1", "A", reason, face_id=None)]
    assert apply_photo_decisions(rows, [said("1", "A", word)]) == rows


def test_a_copy_stays_a_copy_of_a_judged_photo(row: Any, said: Any) -> None:
    rows = [row("1", "A", Reason.OUTLIER), row("1", "A", Reason.DUPLICATE, face_id=None)]
    right = apply_photo_decisions(rows, [said("1", "A", "right")])
    assert [r.reason for r in right] == ["confirmed", "duplicate"]
    wrong = apply_photo_decisions(rows, [said("1", "A", "wrong")])
    assert [r.reason for r in wrong] == ["rejected", "duplicate"]


def test_a_moved_photo_answers_for_where_it_was_moved(row: Any, said: Any) -> None:
    rows = [row("1", "A", MOVED, identity="B")]
    assert apply_photo_decisions(rows, [said("1", "A", "wrong")]) == rows
    assert apply_photo_decisions(rows, [said("1", "B", "right")]) == rows
    wrong = apply_photo_decisions(rows, [said("1", "B", "wrong")])
    assert fates(wrong) == [("dropped", "rejected", None)]
    home = apply_photo_decisions(rows, [said("1", "A", "right")])
    assert fates(home) == [("kept", "confirmed", "A")]
    both = apply_photo_decisions(rows, [said("1", "A", "right"), said("1", "B", "wrong")])
    assert fates(both) == [("kept", "confirmed", "A")]


def test_a_photo_of_an_identity_that_nobody_claims_for_it_is_moved_there(
    row: Any, said: Any
) -> None:
    for reason in (Reason.OUTLIER, Reason.MAIN_CLUSTER):
        moved = apply_photo_decisions([row("1", "A", reason)], [said("1", "B", "right")])
        assert fates(moved) == [("moved", "belongs_to_other", "B")]
        check_complete(1, moved)
    # Another face of a photo that stands for its own claim.
    rows = [row("1", "A")]
    assert apply_photo_decisions(rows, [said("1", "B", "right", face_id="1-1")]) == rows
    kept = apply_photo_decisions(rows, [said("1", "A", "right"), said("1", "B", "right")])
    assert fates(kept) == [("kept", "confirmed", "A")]


def test_the_confirmed_face_is_the_one_that_ships(row: Any, said: Any, measured: Any) -> None:
    rows = [row("1", "A", Reason.OUTLIER)]
    log = [said("1", "A", "right", face_id="1-1")]
    faces = measured({"1-0": [1.0, 0.0, 0.0], "1-1": [0.0, 1.0, 0.0]})
    (shipped,) = judge(rows, log, faces).rows
    assert (shipped.face_id, shipped.det_score, shipped.similarity) == ("1-1", 0.75, 0.25)
    # Another detector found one face only: there is nothing that could ship.
    assert judge(rows, log, measured({"1-0": [1.0, 0.0, 0.0]})).rows == rows


def test_one_image_ships_once_under_an_identity(row: Any, said: Any) -> None:
    rows = [row("1", "A", MOVED, identity="C"), row("1", "B", MOVED, identity="A")]
    judged = apply_photo_decisions(rows, [said("1", "A", "right")])
    assert fates(judged) == [
        ("moved", "belongs_to_other", "C"),
        ("moved", "belongs_to_other", "A"),
    ]
    rows = [row("1", "A"), row("1", "B", MOVED, identity="A")]
    judged = apply_photo_decisions(rows, [said("1", "A", "right")])
    assert fates(judged) == [("kept", "confirmed", "A"), ("dropped", "duplicate", None)]


def test_what_changed_is_named_and_the_audit_waits(row: Any, said: Any, measured: Any) -> None:
    rows = [row("1", "A"), row("2", "A")]
    faces = measured({"1-0": [1.0, 0.0, 0.0], "2-0": [1.0, 0.0, 0.0]})
    audit = said("1", "A", "wrong", Kind.AUDIT)
    nothing = judge(rows, [audit, said("2", "A", "unsure")], faces)
    assert (nothing.rows, nothing.changes, nothing.seen) == (rows, "", 2)
    log = [audit, said("2", "A", "wrong"), said("1", "A", "wrong")]
    first, both = judge(rows, log, faces, seen=2), judge(rows, log, faces)
    assert [r.reason for r in first.rows] == ["main_cluster", "rejected"]
    assert [r.reason for r in both.rows] == ["rejected", "rejected"]
    assert len({"", first.changes, both.changes}) == 3
    assert (first.seen, both.seen) == (2, 3)


def test_a_release_sees_what_earlier_steps_saw_and_the_whole_audit(said: Any) -> None:
    log = [
        said("1", "A", "wrong"),
        said("2", "A", "right", Kind.AUDIT),
        said("3", "A", "wrong"),
        said("4", "A", "wrong", Kind.AUDIT),
    ]
    assert decisions_at_release(log, 1) == [log[0], log[1], log[3]]
    assert rejected_faces(log) == {("1-0", "A"), ("3-0", "A"), ("4-0", "A")}
    assert rejected_faces([*log, said("1", "A", "pending")]) == {("3-0", "A"), ("4-0", "A")}


images = st.sampled_from("123")
names = st.sampled_from("ABC")
reasons = st.sampled_from(
    [
        Reason.MAIN_CLUSTER,
        MOVED,
        Reason.OUTLIER,
        Reason.TAKEN_OVER,
        Reason.DUPLICATE,
        Reason.NO_FACE,
    ]
)
words = st.sampled_from(["right", "wrong", "unsure", "pending"])


@given(
    st.lists(
        st.tuples(images, names, reasons, names), max_size=8, unique_by=lambda values: values[:2]
    ),
    st.lists(st.tuples(images, names, words, st.integers(0, 1)), max_size=8),
)
def test_every_image_keeps_one_true_fate(
    row: Any,
    said: Any,
    claims: list[tuple[str, str, Reason, str]],
    answers: list[tuple[str, str, str, int]],
) -> None:
    rows = [
        row(image, name, reason, **({"identity": final} if reason is MOVED else {}))
        for image, name, reason, final in claims
    ]
    log = [said(i, name, word, face_id=f"{i}-{face}") for i, name, word, face in answers]
    judged = apply_photo_decisions(rows, log)
    check_complete(len(rows), judged)
    assert [(r.image_id, r.claimed_identity) for r in judged] == [
        (r.image_id, r.claimed_identity) for r in rows
    ]
    assert apply_photo_decisions(judged, log) == judged
    before = Counter((r.image_id, r.identity) for r in rows if r.identity)
    after = Counter((r.image_id, r.identity) for r in judged if r.identity)
    assert all(count <= max(1, before[key]) for key, count in after.items())
    latest = {(row.image_id, row.identity): row.decision for row in log}
    for image, name in after:
        assert latest.get((image, name)) != "wrong"
    for r in judged:
        assert (r.identity is None) == (r.outcome in {"dropped", "held"})
        if r.reason == "confirmed":
            assert r.identity == r.claimed_identity
            assert latest[r.image_id, r.claimed_identity] == "right"
