"""A log that was cut off anywhere holds the rows before, and takes the next ones."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaning.stages.review_log import ReviewLog
from facedata.errors import IntegrityError
from facedata.jsonl import to_lines
from facedata.review import Decision
from facedata.storage import Storage

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
decisions = st.builds(
    Decision,
    identity_a=text,
    identity_b=text,
    decision=st.just("same"),
    decided_by=text,
    decided_at=text,
    note=text,
)


def log_in(folder: str | Path) -> ReviewLog[Decision]:
    return ReviewLog(storage=Storage(folder), path="log.jsonl", row_type=Decision)


@settings(max_examples=40, deadline=None)
@given(st.lists(decisions, min_size=1, max_size=4), decisions, st.data())
def test_cut_off_anywhere(rows: list[Decision], new: Decision, data: st.DataObject) -> None:
    whole = to_lines(rows)
    cut = data.draw(st.integers(0, len(whole)))
    with TemporaryDirectory() as folder:
        log = log_in(folder)
        (Path(folder) / "log.jsonl").write_bytes(whole[:cut])
        # A row is there as soon as only its line end is missing.
        ends = [len(to_lines(rows[: n + 1])) - 1 for n in range(len(rows))]
        kept = rows[: sum(end <= cut for end in ends)]
        assert log.rows() == kept
        log.append([new])
        assert log.rows() == [*kept, new]


@settings(max_examples=40, deadline=None)
@given(st.lists(decisions, max_size=6), st.sets(text, max_size=3))
def test_rows_of_some_are_those_among_all(rows: list[Decision], wanted: set[str]) -> None:
    with TemporaryDirectory() as folder:
        log = log_in(folder)
        log.append(rows)
        names = wanted | {row.identity_a for row in rows[::2]}
        assert log.rows_with("identity_a", names) == [r for r in rows if r.identity_a in names]


def test_damage_in_the_middle_is_named_with_its_line(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    row = Decision(identity_a="a", identity_b="b", decision="same", decided_by="", decided_at="")
    (tmp_path / "log.jsonl").write_bytes(
        to_lines([row]) + b'{"identity_a": "b", "dec\n' + to_lines([row])
    )
    with pytest.raises(IntegrityError, match=r"log.jsonl line 2 is not JSON"):
        log.rows()
    with pytest.raises(IntegrityError, match=r"log.jsonl line 2 is not JSON"):
        log.rows_with("identity_a", {"b"})
    assert log.rows_with("identity_a", {"a"}) == [row, row]
