from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.identity_name import normalise_identity, shown
from facedata.errors import SourceError

PRINTABLE = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])


@pytest.mark.parametrize(
    "name",
    ["Ana Lee", "..", "a/b", "x" * 300, 'Ana "Bee" O\'Hara', "王菲", "🦊 fox", "C:\\con", "-rf"],
)
def test_odd_names_are_just_names(name: str) -> None:
    assert normalise_identity(name, where="people.csv:2") == name


def test_composed_and_decomposed_names_are_one() -> None:
    assert normalise_identity("  Zoe\u0308 ", where="x") == normalise_identity("Zoë", where="x")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "people.csv:2: identity name '' is empty; give it a name"),
        ("  \t ", "is empty"),
        ("a\x00b", "unprintable character '\\x00'"),
        ("a\nb", "unprintable character '\\n'"),
        ("a\udc80b", "unprintable character '\\udc80'"),
    ],
)
def test_unusable_names_are_errors_that_name_them(name: str, problem: str) -> None:
    with pytest.raises(SourceError) as caught:
        normalise_identity(name, where="people.csv:2")
    message = str(caught.value)
    assert problem in message
    assert "\n" not in message
    message.encode("utf-8")


@given(st.text(PRINTABLE, min_size=1).filter(str.strip))
def test_normalising_is_idempotent_and_nfc(name: str) -> None:
    once = normalise_identity(name, where="x")
    assert normalise_identity(once, where="x") == once
    assert unicodedata.is_normalized("NFC", once)


def test_of_a_long_text_the_middle_is_left_out() -> None:
    assert shown("Zoë") == "'Zoë'"
    assert shown("/" * 80) == "'" + "/" * 80 + "'"
    assert shown("/" * 100 + "none.rec") == "'" + "/" * 40 + "…" + "/" * 32 + "none.rec'"
