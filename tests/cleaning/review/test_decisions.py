from __future__ import annotations

from cleaning.review.decisions import latest, unrecorded, with_decisions
from facedata.review import Decision


def decision(a: str, b: str, answer: str, by: str = "Ana", at: str = "2026-01-01") -> Decision:
    return Decision(identity_a=a, identity_b=b, decision=answer, decided_by=by, decided_at=at)


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
