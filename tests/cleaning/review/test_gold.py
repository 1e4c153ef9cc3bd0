from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning.review.gold import mix_gold, read_gold
from cleaning.review.pairs_csv import write_pairs
from cleaning.review.spreadsheet import to_cell
from facedata.errors import RecipeError

names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1) | st.text(
    st.sampled_from("=+-@'\",;\t\r\n aé7＝"), min_size=1
)
answers = st.dictionaries(
    st.tuples(names, names).filter(lambda pair: pair[0] < pair[1]),
    st.sampled_from(["same", "different"]),
)


@given(answers)
def test_known_answers_survive_a_spreadsheet(gold: dict[tuple[str, str], str]) -> None:
    rows = ["identity_a,identity_b,decision"]
    for (a, b), word in gold.items():
        cells = [to_cell(cell).replace('"', '""') for cell in (b, a, word)]
        rows.append(",".join(f'"{cell}"' for cell in cells))
    assert read_gold("\r\n".join(rows).encode(), "gold.csv") == gold


def test_a_filled_in_pairs_csv_is_a_gold_file(candidate) -> None:
    rows = [candidate("007", "=B", decision="same", decided_by="Ana")]
    assert read_gold(write_pairs(rows), "gold.csv") == {("007", "=B"): "same"}


def test_semicolons_utf_16_and_any_case() -> None:
    data = "Decision;identity_a;identity_b\n Same ;b;a\nSAME;a;b\n".encode("utf-16")
    assert read_gold(data, "gold.csv") == {("a", "b"): "same"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "a,b,unsure",
            "gold.csv line 2: decision 'unsure' is not a known answer; allowed are same, different",
        ),
        (
            "a,b,same\n\na,c,",
            "gold.csv line 4: decision '' is not a known answer; allowed are same, different",
        ),
        ("a,a,same", "gold.csv line 2: 'a' is paired with itself; name two identities"),
        (
            "a,,same",
            "gold.csv line 2: the name of an identity is empty; name both identities",
        ),
        (
            "a,b,same\nb,a,different",
            "gold.csv line 3: 'a' and 'b' are 'different' here but 'same' on line 2; "
            "keep one of the two",
        ),
    ],
)
def test_what_is_wrong_is_named(rows: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_gold(f"identity_a,identity_b,decision\n{rows}\n".encode(), "gold.csv")
    assert str(caught.value) == message


def test_a_missing_column_is_named() -> None:
    with pytest.raises(RecipeError, match=r"^gold\.csv line 1: column missing 'decision';"):
        read_gold(b"identity_a,identity_b\na,b\n", "gold.csv")


@given(st.integers(0, 60), st.integers(0, 20), st.floats(0, 1), st.integers(0, 2**32))
def test_questions_keep_their_order_and_controls_come_once_each(
    asked: int, gold: int, share: float, seed: int
) -> None:
    questions = [f"q{number}" for number in range(asked)]
    controls = [f"g{number}" for number in range(gold)]
    mixed = mix_gold(questions, controls, share, seed)
    assert mixed == mix_gold(questions, controls, share, seed)
    assert [question for question in mixed if question[0] == "q"] == questions
    drawn = [question for question in mixed if question[0] == "g"]
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(controls)
    assert min(gold, share * asked) <= len(drawn) <= min(gold, share * asked + 1)


def test_controls_stand_anywhere_and_each_is_drawn() -> None:
    places, drawn = set(), set()
    for seed in range(200):
        mixed = mix_gold(["q"] * 9, ["g1", "g2", "g3"], 0.1, seed)
        places.update(place for place, question in enumerate(mixed) if question != "q")
        drawn.update(mixed)
    assert places == set(range(10))
    assert drawn == {"q", "g1", "g2", "g3"}
