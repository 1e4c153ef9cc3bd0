"""``pairs.csv``: merge candidates as a table that people fill in with a spreadsheet.

Written as UTF-8 with byte order mark, commas, CRLF and every cell quoted, which Excel opens by
a double click; read back in whatever form a spreadsheet saves.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cleaning.review.spreadsheet import TableFormat, from_cell, read_table, to_cell
from facedata.errors import RecipeError
from facedata.review import PENDING, Answer, CandidateRow, Decision, Pair, ordered_pair

COLUMNS = (
    "identity_a",
    "identity_b",
    "max_similarity",
    "face_a",
    "face_b",
    "decision",
    "decided_by",
    "note",
)
_FORMAT = TableFormat(
    origin="pairs.csv",
    columns=COLUMNS,
    required=("identity_a", "identity_b", "decision"),
    remedy="write the file again with `winnow review` and fill in only the last three columns",
)
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to turn rows into decisions: who answered when a row does not say, and when.

    ``decided_at`` is ISO 8601 in UTC.
    """

    reviewer: str
    decided_at: str


def write_pairs(candidates: Iterable[CandidateRow]) -> bytes:
    """Write candidates in the given order as ``pairs.csv``; a pending decision is empty."""
    text = io.StringIO()
    text.write(_BYTE_ORDER_MARK)
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in candidates:
        writer.writerow([*pair_cells(row), *decision_cells(row), ""])
    return text.getvalue().encode()


def pair_cells(row: CandidateRow) -> list[str]:
    """Return the cells that say which pair a row is about."""
    names = [to_cell(row.identity_a), to_cell(row.identity_b)]
    return [*names, f"{row.max_similarity:.4f}", to_cell(row.face_a), to_cell(row.face_b)]


def decision_cells(row: CandidateRow) -> list[str]:
    """Return the cells that say what was decided about a pair, and by whom."""
    if row.decision == PENDING:
        return ["", ""]
    return [row.decision, to_cell(row.decided_by or "")]


def read_pairs(data: bytes, candidates: Iterable[CandidateRow], reading: Reading) -> list[Decision]:
    """Read the answers of a filled-in ``pairs.csv``, in the order of its rows.

    Rows with an empty decision are no answers, nor are rows that say what the candidate said
    already: an old file must not undo what was decided since. Rows and columns may come in any
    order, and only identity_a, identity_b and decision are needed.

    Args:
        data: the file's bytes.
        candidates: the pairs that may be answered, with the decisions the file was written with.
        reading: whose answers these are, and when they were read.

    Raises:
        RecipeError: for a wrong column, an unknown answer or pair, or two different answers to
            one pair; the line, the value found and what is allowed are named.
    """
    known = {ordered_pair(row.identity_a, row.identity_b): row for row in candidates}
    answers: dict[Pair, tuple[Decision, int]] = {}
    for line, row in read_table(data, _FORMAT):
        decision = _read_row(row, line, known, reading)
        if decision is None:
            continue
        pair = (decision.identity_a, decision.identity_b)
        first, first_line = answers.setdefault(pair, (decision, line))
        if first.decision != decision.decision:
            raise RecipeError(
                f"pairs.csv line {line}: {pair[0]!r} and {pair[1]!r} are {decision.decision!r} "
                f"here but {first.decision!r} on line {first_line}; keep one of the two"
            )
    return [
        decision for pair, (decision, _) in answers.items() if not _repeats(decision, known[pair])
    ]


def _repeats(decision: Decision, row: CandidateRow) -> bool:
    return (decision.decision, decision.decided_by) == (row.decision, row.decided_by)


def _read_row(
    row: dict[str, str], line: int, known: Collection[Pair], reading: Reading
) -> Decision | None:
    word = row["decision"].strip().lower()
    if not word:
        return None
    pair = _known_pair(row["identity_a"], row["identity_b"], line, known)
    if word not in list(Answer):
        raise RecipeError(
            f"pairs.csv line {line}: decision {row['decision']!r} is not an answer; allowed are "
            f"{', '.join(Answer)}, or empty while undecided"
        )
    return Decision(
        identity_a=pair[0],
        identity_b=pair[1],
        decision=word,
        decided_by=from_cell(row["decided_by"]).strip() or reading.reviewer,
        decided_at=reading.decided_at,
        note=from_cell(row["note"]).strip(),
    )


def _known_pair(cell_a: str, cell_b: str, line: int, known: Collection[Pair]) -> Pair:
    pair = ordered_pair(from_cell(cell_a), from_cell(cell_b))
    if pair not in known:
        raise RecipeError(
            f"pairs.csv line {line}: {pair[0]!r} and {pair[1]!r} are not a pair under review; "
            f"the {len(known)} allowed pairs are those of the pairs.csv written by the last build"
        )
    return pair
