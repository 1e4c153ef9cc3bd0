"""The decision log: every answer of a person, append-only; the latest row per pair counts.

An answer is remembered for ever. Taking one back is a new row, ``unsure`` when nothing better
is known; no row is ever changed or removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from facedata.review import PENDING, CandidateRow, Decision, Pair, ordered_pair


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
