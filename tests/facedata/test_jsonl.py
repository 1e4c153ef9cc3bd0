"""Append-only logs keep every row, and a damaged line is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facedata.errors import IntegrityError
from facedata.jsonl import from_lines, to_lines
from facedata.review import Answer, Decision

text = st.text(st.characters(exclude_categories=("Cs",)))
decisions = st.builds(
    Decision,
    identity_a=text,
    identity_b=text,
    decision=st.sampled_from([answer.value for answer in Answer]),
    decided_by=text,
    decided_at=text,
    note=text,
    max_similarity=st.none() | st.floats(-1, 1),
)
ROW = Decision(identity_a="a", identity_b="b", decision="same", decided_by="kim", decided_at="now")


@given(st.lists(decisions))
def test_round_trip_and_appending(rows: list[Decision]) -> None:
    assert from_lines(Decision, to_lines(rows), "log") == rows
    half = len(rows) // 2
    assert to_lines(rows[:half]) + to_lines(rows[half:]) == to_lines(rows)


def test_a_row_from_before_a_field_was_added_takes_its_default() -> None:
    old = (
        b'{"decided_at": "now", "decided_by": "kim", "decision": "same", "identity_a": "a", '
        b'"identity_b": "b"}\n'
    )
    assert from_lines(Decision, old, "log") == [ROW]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "log line 2 is not JSON"),
        ("[]", "log line 2 does not have the fields"),
        ('{"decision": "same"}', "log line 2 does not have the fields"),
        (
            '{"decision": "maybe", "decided_at": "", "decided_by": "", "identity_a": "", '
            '"identity_b": "", "note": ""}',
            "the decision is 'maybe'; allowed are same, different, unsure, pending",
        ),
        (
            '{"decision": "same", "decided_at": 1, "decided_by": "", "identity_a": "", '
            '"identity_b": "", "note": ""}',
            "log line 2 has a wrong decided_at: Input should be a valid string",
        ),
    ],
)
def test_a_damaged_line_is_named(line: str, problem: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        from_lines(Decision, to_lines([ROW]) + line.encode(), "log")
    assert problem in str(caught.value)


def test_bytes_that_are_not_text_are_named() -> None:
    with pytest.raises(IntegrityError, match=r"^log line 2 is not UTF-8; restore"):
        from_lines(Decision, to_lines([ROW]) + b"\xff\n", "log")
