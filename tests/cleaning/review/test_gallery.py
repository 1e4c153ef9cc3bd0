from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleaning.review.gallery import select_gallery


def unit(*degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_medoid_first_then_the_farthest_of_those_left() -> None:
    rows = unit(0, 10, 20, 60, -40)
    # The medoid is 10°; -40° and 60° are both 50° away, the lower index wins the tie.
    assert select_gallery(rows, 3)[0] == 1
    assert set(select_gallery(rows, 3).tolist()) == {1, 3, 4}


def test_a_hidden_second_person_is_seen_second() -> None:
    rows = unit(*[i * 0.5 for i in range(30)], 90)
    assert select_gallery(rows, 12)[1] == 30


def test_no_faces_and_one_face() -> None:
    assert select_gallery(np.empty((0, 4), dtype=np.float32)).tolist() == []
    assert select_gallery(unit(5)).tolist() == [0]


def test_identical_faces_are_each_shown_once() -> None:
    assert sorted(select_gallery(unit(5, 5, 5)).tolist()) == [0, 1, 2]


@given(count=st.integers(1, 40), limit=st.integers(1, 15), seed=st.integers(0, 2**32 - 1))
def test_distinct_indices_of_the_right_number_and_greedy(count: int, limit: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    picked = select_gallery(rows, limit).tolist()
    assert len(picked) == len(set(picked)) == min(count, limit)
    sums = rows @ rows.T
    assert sums.sum(axis=1)[picked[0]] >= sums.sum(axis=1).max() - 1e-4
    for step in range(1, len(picked)):
        nearest = sums[:, picked[:step]].max(axis=1)
        left = [i for i in range(count) if i not in picked[:step]]
        assert nearest[picked[step]] <= nearest[left].min() + 1e-5
