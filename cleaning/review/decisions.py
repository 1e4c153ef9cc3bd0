"""The decision log: every answer of a person, append-only; the latest row per pair counts.

An answer is remembered for ever. Taking one back is a new row, ``unsure`` when nothing better
is known; no row is ever changed or removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from enum import StrEnum

from facedata.errors import IntegrityError
from facedata.records import CandidateRow, Decision

PENDING = "pending"

Pair = tuple[str, str]


class Answer(StrEnum):
    """What a person can answer to "are these two identities the same person?"."""

    SAME = "same"
    DIFFERENT = "different"
    UNSURE = "unsure"


def ordered_pair(identity_a: str, identity_b: str) -> Pair:
    """Return the two names in the order in which every record holds them."""
    return (identity_a, identity_b) if identity_a < identity_b else (identity_b, identity_a)


def latest(decisions: Iterable[Decision]) -> dict[Pair, Decision]:
    """Return the decision that counts for each pair: the last row of the log about it."""
    return {ordered_pair(row.identity_a, row.identity_b): row for row in decisions}


def unrecorded(answers: Iterable[Decision], log: Iterable[Decision]) -> list[Decision]:
    """Return the answers to append: those that change what the log says, in given order.

    An answer that repeats what the same person decided last about the pair is left out, so
    reading one file twice appends nothing the second time.
    """
    known = latest(log)
    fresh: list[Decision] = []
    for answer in answers:
        pair = ordered_pair(answer.identity_a, answer.identity_b)
        before = known.get(pair)
        repeats = before is not None and (before.decision, before.decided_by) == (
            answer.decision,
            answer.decided_by,
        )
        if not repeats:
            fresh.append(answer)
            known[pair] = answer
    return fresh


def with_decisions(
    candidates: Iterable[CandidateRow], log: Iterable[Decision]
) -> list[CandidateRow]:
    """Return the candidates with the log's latest answers; pairs without one are pending."""
    known = latest(log)
    decided: list[CandidateRow] = []
    for row in candidates:
        answer = known.get(ordered_pair(row.identity_a, row.identity_b))
        if answer is None:
            row = replace(row, decision=PENDING, decided_by=None, decided_at=None)
        else:
            row = replace(
                row,
                decision=answer.decision,
                decided_by=answer.decided_by,
                decided_at=answer.decided_at,
            )
        decided.append(row)
    return decided


def to_jsonl(decisions: Iterable[Decision]) -> bytes:
    """Write decisions as JSON lines, ready to be appended to a log."""
    lines = [json.dumps(asdict(row), ensure_ascii=False, sort_keys=True) for row in decisions]
    return "".join(line + "\n" for line in lines).encode()


def from_jsonl(data: bytes) -> list[Decision]:
    """Read a decision log, oldest row first.

    Raises:
        IntegrityError: when a line is not a decision; the line's number is named.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise IntegrityError(_bad_line(number, "is not UTF-8")) from error
    # Not splitlines(): a name may hold one of the rarer Unicode line separators.
    lines = text.split("\n")
    return [_decision(line, number) for number, line in enumerate(lines, start=1) if line.strip()]


def _decision(line: str, number: int) -> Decision:
    names = [field.name for field in fields(Decision)]
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise IntegrityError(_bad_line(number, f"is not JSON ({error})")) from error
    if not isinstance(row, dict) or sorted(row) != sorted(names):
        raise IntegrityError(_bad_line(number, f"does not have exactly the fields {names}"))
    if not all(isinstance(value, str) for value in row.values()):
        raise IntegrityError(_bad_line(number, "has a value that is not text"))
    if row["decision"] not in list(Answer):
        raise IntegrityError(_bad_line(number, _unknown_answer(row["decision"])))
    return Decision(**row)


def _unknown_answer(found: str) -> str:
    return f"has the decision {found!r}; allowed are {', '.join(Answer)}"


def _bad_line(number: int, problem: str) -> str:
    return f"decision log line {number} {problem}; restore the line from a copy of the log"
