"""Overlap: by name in any spelling, by face exactly, with the evidence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facedata.errors import RequestError
from training.evaluate.overlap import (
    SameName,
    find_overlap,
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


def test_the_evidence_of_both_kinds() -> None:
    evaluation = (
        np.array([[1, 0], [0.6, 0.8], [0, -1]], dtype=np.float32),
        np.array(["Ann_Lee", "Bo_Ek", "Cy_Day"]),
    )
    training = (
        np.array([[0.8, 0.6], [-1, 0]], dtype=np.float32),
        np.array(["x17", "lee ann"]),
    )

    overlap = find_overlap(evaluation, training, 0.9)

    assert overlap.people == ("Ann_Lee", "Bo_Ek")
    assert [found.identity for found in overlap.by_name] == ["lee ann"]
    (near,) = overlap.by_face
    assert (near.person, near.identity, near.evaluation_row, near.training_row) == (
        "Bo_Ek",
        "x17",
        1,
        0,
    )
    assert near.similarity == pytest.approx(0.96)
    assert find_overlap(evaluation, training, 0.97).people == ("Ann_Lee",)


@given(threshold=st.floats(allow_nan=True).filter(lambda value: not -1 <= value <= 1))
def test_a_threshold_that_is_no_similarity_is_refused(threshold: float) -> None:
    one = (np.array([[1, 0]], dtype=np.float32), np.array(["a"]))
    with pytest.raises(RequestError, match="is no similarity"):
        find_overlap(one, one, threshold)
