from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleaning.review.borderline import pick_borderline

cosines = st.floats(-1, 1) | st.just(float("nan"))
photos = st.lists(st.tuples(cosines, st.booleans()), max_size=30)


def test_both_kinds_by_turns_and_the_nearest_first() -> None:
    similarity = np.array([0.50, 0.41, 0.42, 0.43, 0.39, 0.10, np.nan])
    kept = np.array([True, True, True, True, False, False, True])
    # Kept photos in rows 1 and 2, dropped ones in rows 4 and 5.
    assert pick_borderline(similarity, kept, 0.4, 4).tolist() == [1, 4, 2, 5]
    assert pick_borderline(similarity, kept, 0.4, 3).tolist() == [1, 4, 2]


def test_what_one_kind_does_not_use_goes_to_the_other() -> None:
    similarity = np.array([0.6, 0.5, 0.7])
    assert pick_borderline(similarity, np.ones(3, dtype=bool), 0.4, 2).tolist() == [1, 0]


def test_no_photos_and_no_budget() -> None:
    nothing = pick_borderline(np.empty(0), np.empty(0, dtype=bool), 0.4, 5)
    assert nothing.dtype == np.int64
    assert nothing.tolist() == []
    assert pick_borderline(np.array([0.4]), np.array([True]), 0.4, 0).tolist() == []


@given(photos, st.floats(-1, 1), st.integers(0, 40))
def test_distinct_known_nearest_of_their_kind_and_fairly_shared(
    rows: list[tuple[float, bool]], cut: float, budget: int
) -> None:
    similarity = np.array([row[0] for row in rows], dtype=np.float64)
    kept = np.array([row[1] for row in rows], dtype=bool)
    picked = pick_borderline(similarity, kept, cut, budget)
    known = ~np.isnan(similarity)
    doubt = np.abs(similarity - cut)
    assert len(set(picked.tolist())) == len(picked) == min(budget, known.sum())
    assert known[picked].all()
    assert (np.diff(doubt[picked]) >= 0).all()
    counts = []
    for kind in (kept, ~kept):
        of_kind = np.flatnonzero(known & kind)
        inside = np.intersect1d(of_kind, picked)
        outside = np.setdiff1d(of_kind, picked)
        counts.append((len(inside), len(outside)))
        if len(inside) and len(outside):
            assert doubt[inside].max() <= doubt[outside].min()
    (kept_in, kept_out), (dropped_in, dropped_out) = counts
    if kept_out:
        assert kept_in >= dropped_in - 1
    if dropped_out:
        assert dropped_in >= kept_in - 1
