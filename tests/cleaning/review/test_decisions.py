from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning.review.decisions import (
    Answer,
    from_jsonl,
    latest,
    to_jsonl,
    unrecorded,
    with_decisions,
)
from facedata.errors import IntegrityError
from facedata.records import Decision


def decision(a: str, b: str, answer: str, by: str = "Ana", at: str = "2026-01-01") -> Decision:
    return Decision(identity_a=a, identity_b=b, decision=answer, decided_by=by, decided_at=at)


text = st.text(st.characters(exclude_categories=("Cs",)))
decisions = st.builds(
    decision, a=text, b=text, answer=st.sampled_from(list(Answer)), by=text, at=text
)


@given(st.lists(decisions))
def test_jsonl_round_trip_and_appending(rows: list[Decision]) -> None:
    assert from_jsonl(to_jsonl(rows)) == rows
    half = len(rows) // 2
    assert to_jsonl(rows[:half]) + to_jsonl(rows[half:]) == to_jsonl(rows)


def test_the_last_row_of_a_pair_counts_and_undo_is_a_new_row() -> None:
    log = [
        decision("a", "b", "same"),
        decision("a", "c", "different"),
        decision("a", "b", "unsure", by="Ben"),
    ]
    assert latest(log) == {("a", "b"): log[2], ("a", "c"): log[1]}


def test_reading_a_file_twice_appends_nothing_the_second_time() -> None:
    answers = [decision("a", "b", "same"), decision("a", "c", "different")]
    assert unrecorded(answers, []) == answers
    later = [decision("a", "b", "same", at="2027-01-01"), decision("a", "c", "same")]
    assert unrecorded(later, answers) == [later[1]]


def test_a_repeated_answer_of_another_person_is_recorded() -> None:
    again = decision("a", "b", "same", by="Ben")
    assert unrecorded([again, again], [decision("a", "b", "same")]) == [again]


def test_candidates_take_the_latest_answer_or_are_pending(candidate) -> None:
    rows = with_decisions(
        [candidate("a", "b"), candidate("a", "c", decision="same", decided_by="gone")],
        [decision("a", "b", "different", by="Ben", at="2026-02-03T04:05:06Z")],
    )
    assert rows == [
        candidate(
            "a", "b", decision="different", decided_by="Ben", decided_at="2026-02-03T04:05:06Z"
        ),
        candidate("a", "c"),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 2 is not JSON"),
        ("[]", "line 2 does not have exactly the fields"),
        ('{"decision": "same"}', "line 2 does not have exactly the fields"),
        (
            '{"decision": "maybe", "decided_at": "", "decided_by": "", "identity_a": "", '
            '"identity_b": "", "note": ""}',
            "line 2 has the decision 'maybe'; allowed are same, different, unsure",
        ),
        (
            '{"decision": "same", "decided_at": 1, "decided_by": "", "identity_a": "", '
            '"identity_b": "", "note": ""}',
            "line 2 has a value that is not text",
        ),
    ],
)
def test_a_damaged_log_names_the_line(line: str, problem: str) -> None:
    with pytest.raises(IntegrityError, match="decision log") as caught:
        from_jsonl(to_jsonl([decision("a", "b", "same")]) + line.encode())
    assert problem in str(caught.value)


def test_a_log_that_is_not_text_names_the_line() -> None:
    with pytest.raises(IntegrityError, match=r"^decision log line 2 is not UTF-8; restore"):
        from_jsonl(to_jsonl([decision("a", "b", "same")]) + b"\xff\n")
