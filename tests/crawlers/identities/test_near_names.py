"""Names that are alike are found as by comparing all pairs, in any script."""

from __future__ import annotations

import time
import unicodedata
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.identities.near_names import NearNames, find_near_names

LETTERS = "abé1"
NAMES = st.lists(
    st.lists(st.text(LETTERS, min_size=1, max_size=4), min_size=1, max_size=3).map(" ".join),
    max_size=25,
)


def edits_between(name: str, other: str) -> int | None:
    """0, 1, or None when more: by what may be done to a name, not by how the search works."""
    words, other_words = spelt(name), spelt(other)
    if words == other_words:
        return 0
    return 1 if other_words in edited(words) or words in edited(other_words) else None


def spelt(name: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKD", name)
    return tuple(sorted("".join(one for one in plain if not unicodedata.combining(one)).split()))


def edited(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    """All names that one edit makes of this one."""
    made = set()
    for at, word in enumerate(words):
        rest = [*words[:at], *words[at + 1 :]]
        for place in range(len(word) + 1):
            head, tail = word[:place], word[place:]
            made |= {(*rest, head + letter + tail) for letter in "abe"}
            if tail and not tail[0].isdigit():
                made |= {(*rest, head + letter + tail[1:]) for letter in ("a", "b", "e", "")}
            if len(tail) > 1:
                made.add((*rest, head + tail[1] + tail[0] + tail[2:]))
    made |= {(*words, letter) for letter in "abe"}
    for one, other in permutations(range(len(words)), 2):
        rest = [word for at, word in enumerate(words) if at not in (one, other)]
        made.add((*rest, words[one] + words[other]))
    return {tuple(sorted(word for word in name if word)) for name in made}


@settings(max_examples=100, deadline=None)
@given(NAMES)
def test_all_pairs_are_found_and_no_others(names: list[str]) -> None:
    firsts: dict[tuple[str, ...], int] = {}
    expected = []
    for row, name in enumerate(names):
        first = firsts.setdefault(spelt(name), row)
        if first != row:
            expected.append(NearNames(first=first, second=row, edits=0))
    for one, other in combinations(firsts.values(), 2):
        if edits_between(names[one], names[other]) == 1:
            expected.append(NearNames(first=one, second=other, edits=1))

    assert find_near_names(names, min_letters=1) == sorted(expected)


@pytest.mark.parametrize(
    ("name", "other", "edits"),
    [
        ("Zoë Müller", "muller, ZOE", 0),
        ("Anne-Marie Lee", "Anne Marie Lee", 0),
        ("Ann Example", "Anna Example", 1),
        ("Brian Example", "Brain Example", 1),
        ("John Example", "John Q. Example", 1),
        ("Jean Luc Example", "Jeanluc Example", 1),
        ("Example Anna", "Anne Example", 1),
        ("毛泽东", "毛 泽东", 1),
        ("김연아", "김 연아", 1),
        ("Юрий Гагарин", "ГАГАРИН Юрий", 0),
        ("Юрий Гагарин", "Юрий Гагарина", 1),
        ("نجيب محفوظ", "محفوظ نجيب", 0),
        ("אברהם לינקולן", "אברהם לינקולו", 1),
        ("सचिन तेंदुलकर", "सचिन तेंडुलकर", 1),
        ("Ａｄａ Ｅｘａｍｐｌｅ", "Ada Example", 0),
        ("!!!", "!!!", 0),
    ],
)
def test_alike(name: str, other: str, edits: int) -> None:
    assert find_near_names([name, "?", other]) == [NearNames(first=0, second=2, edits=edits)]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Ann Example", "Annika Example"),
        ("Ann Bo", "Anna Bo"),
        ("person 000017", "person 000018"),
        ("person 17 example", "person 7 example"),
        ("김민서", "김민석"),
        ("王菲", "王非"),
        ("Лев Толстой", "Lew Tolstoi"),
        ("!!!", "???"),
    ],
)
def test_not_alike(name: str, other: str) -> None:
    assert find_near_names([name, other]) == []


def test_a_name_that_many_share_is_reported_once_for_each() -> None:
    found = find_near_names(["Ann Example"] * 1000 + ["Anna Example"] * 3)
    assert len(found) == 999 + 2 + 1
    assert [one for one in found if one.edits] == [NearNames(first=0, second=1000, edits=1)]


def test_nothing_is_near_nothing() -> None:
    assert find_near_names([]) == find_near_names([""]) == find_near_names(["a"]) == []


def test_ten_thousand_names_take_a_moment() -> None:
    letters = np.random.default_rng(1).integers(0, 26, (10_000, 14))
    names = ["".join(chr(97 + at) for at in row[:6]) for row in letters]
    names = [
        f"{name} {''.join(chr(97 + at) for at in row[6:])}"
        for name, row in zip(names, letters, strict=True)
    ]
    names[-1] = names[0][:-1]

    started = time.perf_counter()
    found = find_near_names(names)

    assert found == [NearNames(first=0, second=9_999, edits=1)]
    # All pairs would be 50,000,000 comparisons, many minutes; this is 0.3 s on an idle core.
    assert time.perf_counter() - started < 20
