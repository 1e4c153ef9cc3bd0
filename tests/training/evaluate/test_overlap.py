"""Overlap: by name in any spelling, by face exactly, with the evidence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.evaluate.overlap import (
    SameName,
    nearest_faces,
    same_names,
)

Faces = tuple[NDArray[np.float32], NDArray[np.int64]]


def test_same_names_give_both_spellings() -> None:
    assert same_names(["Ann_Lee", "Bo Ek", "???"], ["Lee, Ann", "ann lee", "!!!", "???"]) == [
        SameName(person="???", identity="???", name="???"),
        SameName(person="Ann_Lee", identity="Lee, Ann", name="ann lee"),
        SameName(person="Ann_Lee", identity="ann lee", name="ann lee"),
    ]


def test_nearest_faces_are_exact_over_all_pairs(people: Callable[..., Faces]) -> None:
    rows, identity = people(2300, 4, 32)
    evaluation, training = (rows[:600], identity[:600]), (rows[600:], identity[600:])
    left, right = (
        np.rint(part[0].astype(np.float64) * 2**26) / 2**26 for part in (evaluation, training)
    )
    similarity = left @ right.T

    found = nearest_faces(evaluation, training)

    assert {nearest.person for nearest in found} == {str(who) for who in identity[:600]}
    for nearest in found:
        own = np.flatnonzero(identity[:600] == int(nearest.person))
        assert nearest.similarity == similarity[own].max()
        assert similarity[nearest.evaluation_row, nearest.training_row] == nearest.similarity
        assert str(training[1][nearest.training_row]) == nearest.identity
    assert [near.similarity for near in found] == sorted(
        (near.similarity for near in found), reverse=True
    )
