from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning.review.pairs_csv import COLUMNS, Reading, read_pairs, write_pairs
from facedata.errors import RecipeError
from facedata.review import CandidateRow, Decision

READING = Reading(reviewer="file", decided_at="2026-01-02T03:04:05Z")
HEADER = ",".join(COLUMNS)

any_text = st.text(st.characters(exclude_categories=("Cs",)))
nasty_text = st.text(st.sampled_from("=+-@'\",;\t\r\n aé7＝"))
names = any_text | nasty_text


def table(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def answered(a: str, b: str, word: str, by: str = "file") -> Decision:
    return Decision(
        identity_a=a, identity_b=b, decision=word, decided_by=by, decided_at=READING.decided_at
    )


@given(st.lists(st.tuples(names, names).filter(lambda ab: ab[0] != ab[1]), max_size=6), st.data())
def test_answers_round_trip_exactly(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    unique = sorted({(min(ab), max(ab)) for ab in pairs})
    candidates = [
        CandidateRow(
            identity_a=a,
            identity_b=b,
            max_similarity=0.5,
            face_a="f",
            face_b="g",
            decision=data.draw(st.sampled_from(["same", "different", "unsure", "pending"])),
            decided_by="Ana",
            decided_at="x",
        )
        for a, b in unique
    ]
    expected = [
        answered(row.identity_a, row.identity_b, row.decision, by="Ana")
        for row in candidates
        if row.decision != "pending"
    ]
    undecided = [replace(row, decision="pending", decided_by=None) for row in candidates]
    assert read_pairs(write_pairs(candidates), undecided, READING) == expected
    # A file that nobody touched says nothing new.
    assert read_pairs(write_pairs(candidates), candidates, READING) == []


def test_file_as_written(candidate) -> None:
    rows = [
        candidate("Zoë O’Malley", "=cmd()", 0.71239),
        candidate("007", "Bond", decision="same", decided_by="Ana"),
    ]
    face_a, face_b = f"{1:032x}-0", f"{2:032x}-0"
    assert write_pairs(rows).decode() == (
        "\ufeff" + ",".join(f'"{name}"' for name in COLUMNS) + "\r\n"
        f'"\'=cmd()","Zoë O’Malley","0.7124","{face_a}","{face_b}","","",""\r\n'
        f'"\'007","Bond","0.5000","{face_a}","{face_b}","same","Ana",""\r\n'
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_reads_what_a_spreadsheet_saves(candidate, delimiter: str, encoding: str) -> None:
    rows = [candidate("Ana; Bea, Co", "Zoë"), candidate("Ana; Bea, Co", "B"), candidate("B", "C")]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    for cells in table(write_pairs(rows)):
        if cells[0] == "B":
            cells[5] = " Different "
        if cells[1] == "Zoë":
            cells[5:7] = ["SAME", " Ana "]
        writer.writerow([*cells, ""])
    writer.writerow([""] * 9)
    assert read_pairs(out.getvalue().encode(encoding), rows, READING) == [
        answered("Ana; Bea, Co", "Zoë", "same", by="Ana"),
        answered("B", "C", "different"),
    ]


def test_a_spreadsheet_may_take_the_apostrophe_away(candidate) -> None:
    data = b"identity_b,identity_a,decision\n=B,007,same\n"
    assert read_pairs(data, [candidate("007", "=B")], READING) == [answered("007", "=B", "same")]


def test_columns_in_any_order_and_names_swapped(candidate) -> None:
    data = b"Decision;note;identity_b;identity_a\r\nunsure;hm;Ana;Bea\r\n"
    assert read_pairs(data, [candidate("Ana", "Bea")], READING) == [
        replace(answered("Ana", "Bea", "unsure"), note="hm")
    ]


def test_a_pair_twice_with_one_answer_counts_once(candidate) -> None:
    data = b"identity_a,identity_b,decision\na,b,same\nb,a,same\na,b,\n"
    assert read_pairs(data, [candidate("a", "b")], READING) == [answered("a", "b", "same")]


def test_another_person_or_answer_is_new_and_an_empty_row_says_nothing(candidate) -> None:
    rows = [candidate("a", b, decision="same", decided_by="Ana") for b in "bcd"]
    data = (
        b"identity_a,identity_b,decision,decided_by\n"
        b"a,b,same,Ben\na,c,unsure,Ana\na,d,same,Ana\na,gone,,\n"
    )
    assert read_pairs(data, rows, READING) == [
        answered("a", "b", "same", by="Ben"),
        answered("a", "c", "unsure", by="Ana"),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            f"{HEADER}\nAna,Bea,,,,smae,,\n".encode(),
            "pairs.csv line 2: decision 'smae' is not an answer; allowed are same, different, "
            "unsure, or empty while undecided",
        ),
        (
            f"{HEADER}\n\nAna,Zoe,,,,same,,\n".encode(),
            "pairs.csv line 3: 'Ana' and 'Zoe' are not a pair under review; the 1 allowed pairs "
            "are those of the pairs.csv written by the last build",
        ),
        (
            f"{HEADER}\nAna,Bea,,,,same,,\nBea,Ana,,,,different,,\n".encode(),
            "pairs.csv line 3: 'Ana' and 'Bea' are 'different' here but 'same' on line 2; "
            "keep one of the two",
        ),
        (
            b"identity_a,identity_b,decison\n",
            "pairs.csv line 1: column unknown 'decison'; missing 'decision'; the columns are "
            "identity_a, identity_b, max_similarity, face_a, face_b, decision, decided_by, note",
        ),
        (
            b"identity_a,identity_b,decision,decision\n",
            "pairs.csv line 1: column repeated 'decision'; the columns are "
            "identity_a, identity_b, max_similarity, face_a, face_b, decision, decided_by, note",
        ),
        (
            b"",
            "pairs.csv line 1: column missing 'identity_a', 'identity_b', 'decision'; the columns "
            "are identity_a, identity_b, max_similarity, face_a, face_b, decision, decided_by, "
            "note",
        ),
        (
            b"identity_a,identity_b,decision\nAna,Bea,same,different\n",
            "pairs.csv line 2: 'different' is in a column without a name; the columns are "
            "identity_a, identity_b, max_similarity, face_a, face_b, decision, decided_by, note",
        ),
        (
            HEADER.encode() + b"\nZo\xeb,Bea,,,,same,,\n",
            "pairs.csv is not UTF-8 (byte 78); in the spreadsheet choose 'Save as' and the type "
            "'CSV UTF-8'",
        ),
    ],
)
def test_what_is_wrong_is_named(candidate, data: bytes, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_pairs(data, [candidate("Ana", "Bea")], READING)
    assert str(caught.value) == message


def test_a_cell_beyond_the_size_limit_names_its_line(candidate) -> None:
    data = f"{HEADER}\n{'x' * 200_000},Bea,,,,same,,\n".encode()
    with pytest.raises(RecipeError, match=r"^pairs\.csv line \d: field larger than field limit"):
        read_pairs(data, [candidate("Ana", "Bea")], READING)
