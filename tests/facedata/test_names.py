"""Names: one spelling for one name, and what is no name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facedata.names import have_one_name, name_key, normalise_name, own_name

SOURCES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
WORDS = st.lists(st.text("abcdéøß李", min_size=1, max_size=6), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Jose_Garcia", "José García"),
        ("Garcia, Jose", "jose garcia"),
        ("Anne-Marie Müller", "anne marie muller"),
        ("Søren Łukasz", "soren lukasz"),
        ("STRASSE", "straße"),
        ("李 娜", "李 娜"),
    ],
)
def test_spellings_of_one_name(name: str, other: str) -> None:
    assert normalise_name(name) == normalise_name(other)


def test_different_names_stay_different() -> None:
    assert normalise_name("李娜") != normalise_name("李明")
    assert normalise_name("Ann Lee") != normalise_name("Anna Lee")
    # The vowel signs of these two differ, the letters do not.
    assert normalise_name("सोनिया") != normalise_name("सुनैया")


@given(WORDS, st.randoms(use_true_random=False), SOURCES, SOURCES)
def test_neither_order_nor_case_nor_source_makes_another_name(
    words: list[str], random: object, one: str, other: str
) -> None:
    shuffled = words.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = own_name(one, "_".join(words)), own_name(other, " ".join(shuffled).upper())
    assert name_key(first) == name_key(second) == name_key(" ".join(words))
    assert have_one_name(first, second)


@pytest.mark.parametrize("identity", ["7", "ms1m:7", "000123", "???", "glint:12_3"])
def test_a_number_is_no_name(identity: str) -> None:
    assert name_key(identity) is None
    assert not have_one_name(identity, identity)


def test_ids_with_letters_are_names() -> None:
    assert have_one_name("ms1m:m.0107_f", "glint:m.0107_f")
    assert not have_one_name("ms1m:m.0107_f", "ms1m:m.0107_g")


def test_the_name_in_one_source_alone() -> None:
    assert own_name("lfw", "Tom_Hanks") == "lfw:Tom_Hanks"
    # As classes without a name are called already.
    assert own_name("ms1m", "ms1m:7") == "ms1m:7"
