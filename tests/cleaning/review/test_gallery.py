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


def test_of_faces_about_as_far_one_from_another_source_comes_first() -> None:
    rows = unit(0, 2, -2, 60, -59)
    sources = np.array(["lfw", "lfw", "lfw", "lfw", "web"])
    assert select_gallery(rows, 2).tolist() == [0, 3]
    assert select_gallery(rows, 2, sources).tolist() == [0, 4]


def test_a_hidden_second_person_comes_before_another_source() -> None:
    rows = unit(*[i * 0.5 for i in range(30)], 90)
    sources = np.array([0] * 10 + [1] * 10 + [2] * 10 + [0])
    assert select_gallery(rows, 12, sources)[1] == 30


@given(count=st.integers(1, 40), limit=st.integers(1, 15), seed=st.integers(0, 2**32 - 1))
def test_sources_only_choose_among_faces_about_as_far(count: int, limit: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    sources = rng.integers(0, 4, count)
    picked = select_gallery(rows, limit, sources).tolist()
    assert len(picked) == len(set(picked)) == min(count, limit)
    assert select_gallery(rows, limit, np.full(count, "one")).tolist() == (
        select_gallery(rows, limit).tolist()
    )
    cosines = rows @ rows.T
    for step in range(1, len(picked)):
        nearest = cosines[:, picked[:step]].max(axis=1)
        left = [i for i in range(count) if i not in picked[:step]]
        assert nearest[picked[step]] <= nearest[left].min() + 0.1 + 1e-5
        shown = [sources[i] for i in picked[:step]]
        surely_far = [i for i in left if nearest[i] <= nearest[left].min() + 0.1 - 1e-5]
        fewest = min((shown.count(sources[i]) for i in surely_far), default=len(shown))
        assert shown.count(sources[picked[step]]) <= fewest
