from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cleaning.review.decisions import (
    latest,
    latest_photos,
    not_in_log,
    unrecorded,
    with_decisions,
)
from facedata.review import Decision, PhotoDecision


def decision(a: str, b: str, answer: str, by: str = "Ana", at: str = "2026-01-01") -> Decision:
    return Decision(identity_a=a, identity_b=b, decision=answer, decided_by=by, decided_at=at)


def photo(image: str, answer: str, by: str = "Ana", at: str = "2026-01-01") -> PhotoDecision:
    return PhotoDecision(
        image_id=image,
        identity="a",
        face_id=f"{image}-0",
        decision=answer,
        kind="photos",
        decided_by=by,
        decided_at=at,
    )


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


def test_what_follows_is_filled_in_with_the_newest_time_it_rests_on(candidate) -> None:
    log = [
        decision("a", "b", "same", at="2026-01-01"),
        decision("b", "c", "same", at="2026-01-05"),
        decision("c", "d", "different", at="2026-01-03"),
        decision("d", "e", "unsure", at="2026-01-09"),
        decision("f", "g", "same", at="2026-02-01"),
    ]
    rows = with_decisions([candidate("a", "c"), candidate("a", "d"), candidate("a", "e")], log)
    inferred = {"decided_by": "inferred", "decided_at": "2026-01-05"}
    assert rows == [
        candidate("a", "c", decision="same", **inferred),
        candidate("a", "d", decision="different", **inferred),
        candidate("a", "e"),
    ]


def test_an_answer_about_the_pair_itself_comes_before_what_follows(candidate) -> None:
    log = [
        decision("a", "b", "same"),
        decision("b", "c", "same"),
        decision("a", "c", "unsure", by="Ben"),
    ]
    row = candidate("a", "c", decision="unsure", decided_by="Ben", decided_at="2026-01-01")
    assert with_decisions([candidate("a", "c")], log) == [row]


def test_a_decision_taken_back_is_pending_again_with_all_that_followed_from_it(candidate) -> None:
    log = [
        decision("a", "b", "same"),
        decision("b", "c", "same"),
        decision("b", "c", "pending", by="Ben"),
    ]
    pairs = [candidate("b", "c"), candidate("a", "c")]
    assert with_decisions(pairs, log) == pairs


def test_a_decision_taken_back_that_still_follows_is_inferred(candidate) -> None:
    log = [decision("a", "b", "same"), decision("b", "c", "same"), decision("a", "c", "pending")]
    (row,) = with_decisions([candidate("a", "c")], log)
    assert (row.decision, row.decided_by) == ("same", "inferred")


def test_nothing_is_filled_in_where_answers_contradict_one_another(candidate) -> None:
    log = [
        decision("a", "b", "same"),
        decision("b", "c", "same"),
        decision("a", "c", "different"),
        decision("c", "d", "same"),
    ]
    assert with_decisions([candidate("a", "d")], log) == [candidate("a", "d")]


def test_pulling_twice_appends_once_and_does_not_overrule_an_undo() -> None:
    pulled = [decision("a", "b", "same"), decision("a", "c", "different")]
    log = [pulled[0], decision("a", "b", "pending", by="Ben", at="2026-01-02")]
    assert not_in_log(pulled, log) == [pulled[1]]
    assert not_in_log([*pulled, *pulled], []) == pulled
    again = replace(pulled[0], decided_at="2026-01-03")
    assert not_in_log([again], log) == [again]


def test_photo_rows_are_told_apart_by_photo_identity_word_person_and_time() -> None:
    log = [photo("1", "wrong")]
    others = [
        photo("2", "wrong"),
        photo("1", "right"),
        photo("1", "wrong", by="Ben"),
        photo("1", "wrong", at="2026-01-02"),
        replace(log[0], identity="b"),
    ]
    assert not_in_log([*others, *log], log) == others
    assert latest_photos([*log, others[1], others[4]]) == {
        ("1", "a"): others[1],
        ("1", "b"): others[4],
    }


rows = st.lists(
    st.builds(
        decision,
        st.just("a"),
        st.sampled_from("bcd"),
        st.sampled_from(["same", "different", "pending"]),
        st.sampled_from(["Ana", "Ben"]),
        st.sampled_from(["2026-01-01", "2026-01-02"]),
    ),
    max_size=12,
)


@given(rows, rows)
def test_what_is_appended_is_new_complete_and_appended_once(
    pulled: list[Decision], log: list[Decision]
) -> None:
    fresh = not_in_log(pulled, log)
    assert not set(fresh) & set(log)
    assert set(fresh) | set(log) == set(pulled) | set(log)
    assert len(fresh) == len(set(fresh))
    assert not_in_log(pulled, [*log, *fresh]) == []
