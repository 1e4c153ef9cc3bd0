"""Control questions: pairs with a known answer, mixed in among the others to measure people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from cleaning.review.pairs_csv import COLUMNS
from cleaning.review.spreadsheet import TableFormat, from_cell, read_table
from facedata.errors import RecipeError
from facedata.review import Answer, Pair, ordered_pair

Question = TypeVar("Question")

_KNOWN = (Answer.SAME, Answer.DIFFERENT)


def read_gold(data: bytes, origin: str) -> dict[Pair, Answer]:
    """Read known answers from CSV with the columns identity_a, identity_b and decision.

    The other columns of ``pairs.csv`` may be there too, so a filled-in one can be used. Separators
    and encodings are those that spreadsheets save. ``origin`` names the file in messages.

    Raises:
        RecipeError: for a wrong column, an answer other than ``same`` and ``different``, a pair of
            an identity with itself, or two answers to one pair; the line, the value found and the
            remedy are named.
    """
    table = TableFormat(
        origin=origin,
        columns=COLUMNS,
        required=("identity_a", "identity_b", "decision"),
        remedy="save it from the spreadsheet as CSV again",
    )
    gold: dict[Pair, Answer] = {}
    lines: dict[Pair, int] = {}
    for line, row in read_table(data, table):
        pair, answer = _read_row(row, f"{origin} line {line}")
        if gold.setdefault(pair, answer) != answer:
            raise RecipeError(
                f"{origin} line {line}: {pair[0]!r} and {pair[1]!r} are {answer.value!r} here but "
                f"{gold[pair].value!r} on line {lines[pair]}; keep one of the two"
            )
        lines.setdefault(pair, line)
    return gold


def mix_gold(
    asked: Sequence[Question], gold: Sequence[Question], share: float, seed: int
) -> list[Question]:
    """Return the questions with control questions put in at random places.

    Args:
        asked: the questions proper; their order stays.
        gold: the control questions to draw from.
        share: control questions for each question asked, in [0, 1], rounded up.
        seed: decides which are drawn and where they stand; the same seed, the same result.
    """
    count = min(len(gold), math.ceil(share * len(asked)))
    rng = np.random.default_rng(seed)
    drawn = [gold[index] for index in rng.permutation(len(gold))[:count]]
    total = len(asked) + count
    places = set(rng.permutation(total)[:count].tolist())
    controls, proper = iter(drawn), iter(asked)
    return [next(controls if place in places else proper) for place in range(total)]


def _read_row(row: dict[str, str], where: str) -> tuple[Pair, Answer]:
    names = from_cell(row["identity_a"]), from_cell(row["identity_b"])
    if not all(names):
        raise RecipeError(f"{where}: the name of an identity is empty; name both identities")
    if names[0] == names[1]:
        raise RecipeError(f"{where}: {names[0]!r} is paired with itself; name two identities")
    word = row["decision"].strip().lower()
    if word not in _KNOWN:
        raise RecipeError(
            f"{where}: decision {row['decision']!r} is not a known answer; "
            f"allowed are {', '.join(_KNOWN)}"
        )
    return ordered_pair(*names), Answer(word)
