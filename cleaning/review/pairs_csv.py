"""``pairs.csv``: merge candidates as a table that people fill in with a spreadsheet.

Written as UTF-8 with byte order mark, commas, CRLF and every cell quoted, which Excel opens by
a double click. Read back with commas, semicolons or tabs, in UTF-8 or UTF-16, since a
spreadsheet saves as its language wants.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@``, and turns ``007`` into
7. So a cell that does not begin with a letter is written with an apostrophe before it, and so
is a ``=``, ``+``, ``-``, ``@`` or apostrophe after a separator or quote inside a cell (where a
spreadsheet that splits on the other separator would begin a cell). Reading takes exactly these
apostrophes away, so any name survives the way there and back.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

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
_REQUIRED = ("identity_a", "identity_b", "decision")
_BYTE_ORDER_MARK = "\ufeff"

_SAFE_START = re.compile(r"[^\W\d_]|[0-9a-f]{32}-\d+\Z")  # a letter, or a whole face_id
_RISKY_INSIDE = re.compile(r"""([,;\t\r\n"])(?=[=+\-@'＝＋－＠])""")
_MADE_SAFE_INSIDE = re.compile(r"""([,;\t\r\n"])'(?=[=+\-@'＝＋－＠])""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to turn rows into decisions: who answered when a row does not say, and when.

    ``decided_at`` is ISO 8601 in UTC.
    """

    reviewer: str
    decided_at: str


def to_cell(text: str) -> str:
    """Return ``text`` so that no spreadsheet computes or converts it."""
    inside = _RISKY_INSIDE.sub(r"\1'", text)
    return inside if not text or _SAFE_START.match(text) else "'" + inside


def from_cell(cell: str) -> str:
    """Return the text that ``to_cell`` wrote; a cell that a person typed stays as it is."""
    return _MADE_SAFE_INSIDE.sub(r"\1", cell.removeprefix("'"))


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
    for line, row in _rows(_text(data)):
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


def _text(data: bytes) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"pairs.csv is not UTF-8 (byte {error.start}); in the spreadsheet choose "
            "'Save as' and the type 'CSV UTF-8'"
        ) from error


def _rows(text: str) -> list[tuple[int, dict[str, str]]]:
    """Return each row that is not blank as column → cell, with its line number."""
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        lines = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise RecipeError(
            f"pairs.csv line {reader.line_num}: {error}; write the file again with "
            "`winnow review` and fill in only the last three columns"
        ) from error
    header = [name.strip().lower() for name in lines[0][1]] if lines else []
    _check_header(header)
    rows: list[tuple[int, dict[str, str]]] = []
    for line, cells in lines[1:]:
        if any(cell.strip() for cell in cells):
            rows.append((line, _by_column(header, cells, line)))
    return rows


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return max((",", ";", "\t"), key=first.count)


def _check_header(header: Sequence[str]) -> None:
    named = [name for name in header if name]
    wrong = [name for name in named if name not in COLUMNS]
    missing = [name for name in _REQUIRED if name not in named]
    twice = sorted({name for name in named if named.count(name) > 1})
    problems = [
        f"{problem} {', '.join(map(repr, names))}"
        for problem, names in (("unknown", wrong), ("missing", missing), ("repeated", twice))
        if names
    ]
    if problems:
        raise RecipeError(
            f"pairs.csv line 1: column {'; '.join(problems)}; the columns are {', '.join(COLUMNS)}"
        )


def _by_column(header: Sequence[str], cells: Sequence[str], line: int) -> dict[str, str]:
    beyond = [cell for cell in cells[len(header) :] if cell.strip()]
    unnamed = [cell for name, cell in zip(header, cells, strict=False) if not name and cell.strip()]
    if beyond or unnamed:
        raise RecipeError(
            f"pairs.csv line {line}: {(beyond + unnamed)[0]!r} is in a column without a name; "
            f"the columns are {', '.join(COLUMNS)}"
        )
    row = dict.fromkeys(COLUMNS, "")
    row.update((name, cell) for name, cell in zip(header, cells, strict=False) if name)
    return row


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
