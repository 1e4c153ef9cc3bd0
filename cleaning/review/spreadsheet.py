"""Tables that people fill in with a spreadsheet: safe cells, and reading what it saved.

Read with commas, semicolons or tabs, in UTF-8 or UTF-16, since a spreadsheet saves as its
language wants.

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
from collections.abc import Sequence
from dataclasses import dataclass

from facedata.errors import RecipeError

_SAFE_START = re.compile(r"[^\W\d_]|[0-9a-f]{32}-\d+\Z")  # a letter, or a whole face_id
_RISKY_INSIDE = re.compile(r"""([,;\t\r\n"])(?=[=+\-@'＝＋－＠])""")
_MADE_SAFE_INSIDE = re.compile(r"""([,;\t\r\n"])'(?=[=+\-@'＝＋－＠])""")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFormat:
    """What a table must look like.

    ``origin`` names the file in messages; ``columns`` may be there, ``required`` must be;
    ``remedy`` says what to do with a file that cannot be split into cells.
    """

    origin: str
    columns: tuple[str, ...]
    required: tuple[str, ...]
    remedy: str


def to_cell(text: str) -> str:
    """Return ``text`` so that no spreadsheet computes or converts it."""
    inside = _RISKY_INSIDE.sub(r"\1'", text)
    return inside if not text or _SAFE_START.match(text) else "'" + inside


def from_cell(cell: str) -> str:
    """Return the text that ``to_cell`` wrote; a cell that a person typed stays as it is."""
    return _MADE_SAFE_INSIDE.sub(r"\1", cell.removeprefix("'"))


def read_table(data: bytes, table: TableFormat) -> list[tuple[int, dict[str, str]]]:
    """Return each row that is not blank as column → cell, with its line number.

    Rows hold every column of the format, empty where the file has none.

    Raises:
        RecipeError: for bytes that are not text, a wrong column, or cells that cannot be told
            apart; the line and the value found are named.
    """
    text = _text(data, table)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        lines = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise RecipeError(
            f"{table.origin} line {reader.line_num}: {error}; {table.remedy}"
        ) from error
    header = [name.strip().lower() for name in lines[0][1]] if lines else []
    _check_header(header, table)
    rows: list[tuple[int, dict[str, str]]] = []
    for line, cells in lines[1:]:
        if any(cell.strip() for cell in cells):
            rows.append((line, _by_column(header, cells, line, table)))
    return rows


def _text(data: bytes, table: TableFormat) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{table.origin} is not UTF-8 (byte {error.start}); in the spreadsheet choose "
            "'Save as' and the type 'CSV UTF-8'"
        ) from error


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return max((",", ";", "\t"), key=first.count)


def _check_header(header: Sequence[str], table: TableFormat) -> None:
    named = [name for name in header if name]
    wrong = [name for name in named if name not in table.columns]
    missing = [name for name in table.required if name not in named]
    twice = sorted({name for name in named if named.count(name) > 1})
    problems = [
        f"{problem} {', '.join(map(repr, names))}"
        for problem, names in (("unknown", wrong), ("missing", missing), ("repeated", twice))
        if names
    ]
    if problems:
        raise RecipeError(
            f"{table.origin} line 1: column {'; '.join(problems)}; "
            f"the columns are {', '.join(table.columns)}"
        )


def _by_column(
    header: Sequence[str], cells: Sequence[str], line: int, table: TableFormat
) -> dict[str, str]:
    beyond = [cell for cell in cells[len(header) :] if cell.strip()]
    unnamed = [cell for name, cell in zip(header, cells, strict=False) if not name and cell.strip()]
    if beyond or unnamed:
        raise RecipeError(
            f"{table.origin} line {line}: {(beyond + unnamed)[0]!r} is in a column without a name; "
            f"the columns are {', '.join(table.columns)}"
        )
    row = dict.fromkeys(table.columns, "")
    row.update((name, cell) for name, cell in zip(header, cells, strict=False) if name)
    return row
