"""Names so alike that they may be one person's: equal but for spelling, or one letter apart.

Names in one script are compared with one another; the same name in two scripts (a transliteration)
is not found.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from facedata.names import normalise_name

_MIN_LETTERS = 8
_MAX_WORDS = 8


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class NearNames:
    """Two rows whose names are alike; ``edits`` is 0 when only spelling parts them, else 1."""

    first: int
    second: int
    edits: int


def find_near_names(names: Sequence[str], min_letters: int = _MIN_LETTERS) -> list[NearNames]:
    """Find all names that are equal, or one edit apart, once they are spelt in one way.

    Accents, case, punctuation and the order of words do not count (``normalise_name``). One edit
    is one letter more, less or other in one word, an initial more or less, two neighbouring letters
    of a word swapped, or a space more or less. Letters are edited in names of at least
    ``min_letters`` letters, since most short names have neighbours, and spaces in names of up to
    eight words. Digits are never edited: person 17 is not person 18.

    Every name is paired with the first of its equals only, and only such firsts are compared
    further: a name that a thousand people share is reported a thousand times and no more.

    Candidates share a name with one letter left out (the deletion neighbourhood of SymSpell, W.
    Garbe 2012, here word by word), so that the work grows with the letters, not with the pairs.

    Returns:
        Pairs of row numbers, ``first < second``, sorted.
    """
    first_rows: dict[str, int] = {}
    found = []
    for row, name in enumerate(names):
        key = _key(name)
        first = first_rows.setdefault(key, row)
        if first != row:
            found.append(NearNames(first=first, second=row, edits=0))
    keys = list(first_rows)
    pairs = {*_one_letter_apart(keys, min_letters), *_one_space_apart(keys)}
    for one, other in pairs:
        first, second = sorted((first_rows[keys[one]], first_rows[keys[other]]))
        found.append(NearNames(first=first, second=second, edits=1))
    return sorted(found)


def _key(name: str) -> str:
    """The name in one spelling, of letters that a writer would call one; words sorted."""
    composed = unicodedata.normalize("NFC", normalise_name(name))
    return " ".join(sorted(composed.split(" "))) or name


def _one_letter_apart(keys: Sequence[str], min_letters: int) -> set[tuple[int, int]]:
    """Numbers of keys, ascending, that differ in one letter of one word."""
    # Hashes in place of the texts: 12 bytes a variant. Equal ones are compared letter by letter.
    hashes, owners = array("q"), array("i")
    for number, key in enumerate(keys):
        if len(key) - key.count(" ") >= min_letters:
            for variant in _variants(key):
                hashes.append(hash(variant))
                owners.append(number)
    values = np.array(hashes, dtype=np.int64)
    order = np.argsort(values, kind="stable")
    parted = np.flatnonzero(np.diff(values[order])) + 1
    starts = np.concatenate([[0], parted])
    sizes = np.diff(np.concatenate([starts, [len(values)]]))
    numbers = np.array(owners, dtype=np.int32)[order]
    pairs: set[tuple[int, int]] = set()
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
        alike = sorted(set(numbers[start : start + size].tolist()))
        pairs.update(combinations(alike, 2))
    return {(one, other) for one, other in pairs if _is_one_edit(keys[one], keys[other])}


def _variants(key: str) -> Iterator[str]:
    """The name, and the name with a letter left out, in each of its words in turn."""
    words = key.split(" ")
    yield f"{key}\0"
    for at, word in enumerate(words):
        rest = " ".join(words[:at] + words[at + 1 :])
        yield f"{rest}\0{word}"
        for place, letter in enumerate(word):
            if not letter.isdigit():
                yield f"{rest}\0{word[:place]}{word[place + 1 :]}"


def _is_one_edit(key: str, other: str) -> bool:
    words, other_words = Counter(key.split(" ")), Counter(other.split(" "))
    own, others = list((words - other_words).elements()), list((other_words - words).elements())
    if len(own) == len(others) == 1:
        return _is_one_letter(own[0], others[0])
    return len(own) + len(others) == 1 and len(own[0] if own else others[0]) == 1


def _is_one_letter(word: str, other: str) -> bool:
    """Whether two different words have a restricted Damerau-Levenshtein distance of one."""
    while word and other and word[0] == other[0]:
        word, other = word[1:], other[1:]
    while word and other and word[-1] == other[-1]:
        word, other = word[:-1], other[:-1]
    return max(len(word), len(other)) == 1 or (len(word) == 2 and word == other[::-1])


def _one_space_apart(keys: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Numbers of keys, ascending, that are equal when two words of one are written as one."""
    numbers = {key: number for number, key in enumerate(keys)}
    for number, key in enumerate(keys):
        words = key.split(" ")
        if len(words) > _MAX_WORDS:
            continue
        for one, other in permutations(range(len(words)), 2):
            rest = [word for at, word in enumerate(words) if at not in (one, other)]
            found = numbers.get(" ".join(sorted([*rest, words[one] + words[other]])))
            if found is not None:
                yield min(number, found), max(number, found)
