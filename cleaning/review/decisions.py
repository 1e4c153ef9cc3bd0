"""The decision log: every answer of a person, append-only; the latest row per subject counts.

An answer is remembered for ever. Taking one back is a new row, ``pending``; no row is ever changed
or removed. What follows from the answers is never written to the log: it is worked out anew each
time, so that it goes when an answer that it rests on is taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from cleaning.review.inference import Inference, infer
from facedata.review import (
    PENDING,
    Answer,
    CandidateRow,
    Decision,
    Pair,
    PhotoDecision,
    ordered_pair,
)

INFERRED = "inferred"
"""Who decided a pair whose answer follows from decisions about other pairs."""

Row = TypeVar("Row", Decision, PhotoDecision)
"""A row of the log of pairs, or of the log of photos."""

_ROW_KEYS = {
    Decision: ("identity_a", "identity_b", "decision", "decided_by", "decided_at"),
    PhotoDecision: ("image_id", "identity", "decision", "decided_by", "decided_at"),
}


def latest(decisions: Iterable[Decision]) -> dict[Pair, Decision]:
    """Return the decision that counts for each pair: the last row of the log about it."""
    return {ordered_pair(row.identity_a, row.identity_b): row for row in decisions}


def latest_photos(decisions: Iterable[PhotoDecision]) -> dict[tuple[str, str], PhotoDecision]:
    """Return the decision that counts for each photo: the last row about it.

    The keys are (image_id, identity): another claim about the same photo is another question.
    """
    return {(row.image_id, row.identity): row for row in decisions}


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


def not_in_log(rows: Iterable[Row], log: Iterable[Row]) -> list[Row]:
    """Return the rows to append: those that the log does not hold yet, in given order.

    A row is in the log when one there has the same subject, decision, person and time, wherever
    it stands: an answer pulled from a server twice is appended once, and pulling it again after
    somebody took it back does not bring it back.
    """
    known = {_row_key(row) for row in log}
    fresh: list[Row] = []
    for row in rows:
        key = _row_key(row)
        if key not in known:
            fresh.append(row)
            known.add(key)
    return fresh


def with_decisions(
    candidates: Iterable[CandidateRow], log: Iterable[Decision]
) -> list[CandidateRow]:
    """Return the candidates with what the log says about them; the others are pending.

    The latest answer about the pair itself comes first, ``unsure`` too. Where there is none, or
    it was taken back, the answer that follows from other pairs is filled in: ``decided_by`` is
    ``inferred``, ``decided_at`` the newest decision that it can rest on (a ``same`` within either
    group, or a ``different`` between the two).
    """
    known = latest(log)
    inference = infer({pair: row.decision for pair, row in known.items()})
    newest = _newest(known, inference)
    decided: list[CandidateRow] = []
    for candidate in candidates:
        a, b = ordered_pair(candidate.identity_a, candidate.identity_b)
        answer = known.get((a, b))
        follows = inference.answer(a, b)
        if answer is not None and answer.decision != PENDING:
            outcome = (str(answer.decision), answer.decided_by, answer.decided_at)
            decided.append(_with_outcome(candidate, *outcome))
        elif follows is not None:
            sides = inference.group(a), inference.group(b)
            times = [newest.get((x, y), "") for x in sides for y in sides]
            decided.append(_with_outcome(candidate, follows.value, INFERRED, max(times)))
        else:
            decided.append(_with_outcome(candidate, PENDING, None, None))
    return decided


def _with_outcome(
    candidate: CandidateRow, decision: str, decided_by: str | None, decided_at: str | None
) -> CandidateRow:
    return replace(candidate, decision=decision, decided_by=decided_by, decided_at=decided_at)


def _newest(known: Mapping[Pair, Decision], inference: Inference) -> dict[Pair, str]:
    """Return when the newest definite answer between two groups, or within one, was given."""
    newest: dict[Pair, str] = {}
    for (a, b), row in known.items():
        if row.decision in (Answer.SAME, Answer.DIFFERENT):
            groups = ordered_pair(inference.group(a), inference.group(b))
            newest[groups] = max(newest.get(groups, ""), row.decided_at)
    return newest


def _row_key(row: Decision | PhotoDecision) -> tuple[str, ...]:
    return tuple(str(getattr(row, name)) for name in _ROW_KEYS[type(row)])
