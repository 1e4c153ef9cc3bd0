from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cleaning.review.spreadsheet import TableFormat, from_cell, read_table, to_cell
from facedata.errors import RecipeError

FORMAT = TableFormat(
    origin="staff.csv", columns=("name", "room", "note"), required=("name",), remedy="ask Ana"
)

names = st.text(st.characters(exclude_categories=("Cs",))) | st.text(
    st.sampled_from("=+-@'\",;\t\r\n aé7＝")
)


@given(names)
@example("'=1")
@example(",''=")
@example('a";=1+1')
def test_cells_round_trip_and_never_begin_a_formula(text: str) -> None:
    cell = to_cell(text)
    assert from_cell(cell) == text
    for separator in ",;\t\n\r":
        for piece in cell.split(separator):
            assert piece.lstrip('"')[:1] not in set("=+-@＝＋－＠")


def test_rows_have_every_column_and_their_line() -> None:
    data = b"Note;name\r\nhm;Ana\r\n;\r\n;Bea\r\n"
    assert read_table(data, FORMAT) == [
        (2, {"name": "Ana", "room": "", "note": "hm"}),
        (4, {"name": "Bea", "room": "", "note": ""}),
    ]


def test_messages_name_the_file_and_its_remedy() -> None:
    with pytest.raises(RecipeError) as caught:
        read_table(b"name,floor\nAna,1\n", FORMAT)
    assert str(caught.value) == (
        "staff.csv line 1: column unknown 'floor'; the columns are name, room, note"
    )
    with pytest.raises(RecipeError, match=r"^staff\.csv line 2: field larger.*; ask Ana$"):
        read_table(b"name\n" + b"x" * 200_000 + b"\n", FORMAT)
