"""Pairs: against brute force over every threshold, with ties, and where too little was measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from facedata.errors import RequestError
from training.evaluate.operating_point import allowed_accepts, clopper_pearson
from training.evaluate.pairs import (
    ScoredPairs,
    accuracy,
    best_threshold,
    contiguous_folds,
    scored_pairs,
    stratified_folds,
    tar_at_far,
    validation_rate,
)


@st.composite
def many_pairs(draw: st.DrawFn) -> ScoredPairs:
    """Few distinct similarities, so that many tie; both kinds in each of three folds."""
    rows = draw(st.lists(st.tuples(st.integers(-4, 8), st.booleans()), min_size=1, max_size=60))
    rows = rows + [(8, True), (0, False)] * 3
    same = np.array([kind for _, kind in rows])
    similarity = np.array([score for score, _ in rows]) / 8
    return scored_pairs(similarity, same, stratified_folds(same, 3))


def all_thresholds(similarity: np.ndarray) -> np.ndarray:
    return np.concatenate([np.unique(similarity), [similarity.max() + 1]])


@given(pairs=many_pairs())
def test_the_best_threshold_is_the_best_of_all(pairs: ScoredPairs) -> None:
    right = [
        np.sum((pairs.similarity >= t) == pairs.same) for t in all_thresholds(pairs.similarity)
    ]

    found = np.sum((pairs.similarity >= best_threshold(pairs)) == pairs.same)

    assert found == max(right)


@given(pairs=many_pairs(), far=st.sampled_from([0.5, 0.3, 0.1, 0.05, 0.02]))
def test_tar_at_far_is_brute_force(pairs: ScoredPairs, far: float) -> None:
    candidates = [
        (np.sum(pairs.impostor >= t), np.sum(pairs.genuine >= t))
        for t in all_thresholds(pairs.similarity)
    ]
    impostors = len(pairs.impostor)

    point = tar_at_far(pairs, [far])[far]

    if far * impostors < 1 - 1e-9:
        assert point is None
    else:
        assert point is not None
        allowed = [(true, false) for false, true in candidates if false <= far * impostors + 1e-9]
        assert point.true_accepts == max(true for true, _ in allowed)
        assert point.false_accepts == max(false for _, false in allowed)
        assert point.true_accepts == np.sum(pairs.genuine >= point.threshold)
        assert point.false_accepts == np.sum(pairs.impostor >= point.threshold)


@given(pairs=many_pairs())
def test_accuracy_judges_a_fold_by_the_others(pairs: ScoredPairs) -> None:
    result = accuracy(pairs)
    for fold, (share, threshold) in enumerate(zip(result.by_fold, result.thresholds, strict=True)):
        inside = pairs.folds == fold
        assert threshold == best_threshold(pairs.where(~inside))
        right = (pairs.similarity[inside] >= threshold) == pairs.same[inside]
        assert share == np.mean(right)
    assert result.mean == pytest.approx(np.mean(result.by_fold))


def test_the_threshold_lies_in_the_middle_of_the_gap() -> None:
    pairs = scored_pairs(
        np.array([0.1, 0.2, 0.6, 0.8] * 2), np.array([False, False, True, True] * 2),
        np.array([0] * 4 + [1] * 4),
    )  # fmt: skip
    assert best_threshold(pairs) == pytest.approx(0.4)
    assert accuracy(pairs).mean == 1.0


def test_neighbouring_floats_are_parted() -> None:
    low = 0.5
    high = float(np.nextafter(low, 1))
    pairs = scored_pairs(
        np.array([low, high] * 2), np.array([False, True] * 2), np.array([0, 0, 1, 1])
    )
    assert accuracy(pairs).mean == 1.0


def test_val_at_far_takes_its_threshold_from_the_other_folds() -> None:
    # Ten impostors a fold; in fold 0 one of them reaches 0.9, elsewhere none passes 0.2.
    impostor = np.concatenate([np.linspace(0, 0.2, 10), np.linspace(0, 0.2, 10)])
    impostor[9] = 0.9
    genuine = np.array([0.5, 0.95, 0.5, 0.95])
    similarity = np.concatenate([impostor, genuine])
    same = np.array([False] * 20 + [True] * 4)
    folds = np.array([0] * 10 + [1] * 10 + [0, 0, 1, 1])
    pairs = scored_pairs(similarity, same, folds)

    result = validation_rate(pairs, 0.1)

    # One of ten may pass: the second highest of the others, 0.1777…, must not.
    assert result is not None
    assert result.mean == 1.0
    assert result.std == 0.0
    assert result.measured_far == pytest.approx(0.1)
    assert validation_rate(pairs, 0.05) is None


def test_pairs_without_a_face_are_accepted_at_no_threshold() -> None:
    same = np.arange(100) >= 10
    assert accuracy(scored_pairs(np.full(100, -1.0), same)).mean == pytest.approx(0.1)
    # Nor where they are in the held-out fold only.
    similarity, folds = np.full(100, -0.9999), np.arange(100) % 2
    similarity[folds == 0] = -1.0
    assert accuracy(scored_pairs(similarity, same, folds)).by_fold[0] == pytest.approx(0.1)


def test_a_rate_that_is_too_small_for_the_pairs_is_not_answered() -> None:
    rng = np.random.default_rng(0)
    same = np.arange(2000) % 2 == 0
    points = tar_at_far(scored_pairs(rng.uniform(-1, 1, 2000), same))
    assert [far for far, point in points.items() if point is None] == [1e-4, 1e-5, 1e-6]


@pytest.mark.parametrize(
    ("rate", "trials", "allowed"),
    [(0.29, 100, 29), (1e-3, 3000, 3), (1e-6, 10**6, 1), (1e-9, 10**12, 1000), (0.1, 9, None)],
)
def test_allowed_accepts_are_counted_in_decimals(
    rate: float, trials: int, allowed: int | None
) -> None:
    assert allowed_accepts(rate, trials) == allowed


@given(trials=st.integers(1, 300), share=st.floats(0, 1))
def test_the_interval_holds_what_a_binomial_makes_likely(trials: int, share: float) -> None:
    hits = round(share * trials)
    low, high = clopper_pearson(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1
    if hits:
        assert stats.binom.sf(hits - 1, trials, low) == pytest.approx(0.025, abs=1e-9)
    if hits < trials:
        assert stats.binom.cdf(hits, trials, high) == pytest.approx(0.025, abs=1e-9)


def test_folds_are_equal_runs() -> None:
    assert contiguous_folds(6, 3).tolist() == [0, 0, 1, 1, 2, 2]
    same = np.array([True, True, False, False, True, True])
    assert stratified_folds(same, 2).tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("similarity", "same", "folds", "message"),
    [
        ([0.1, 0.2], [True], None, r"similarity \(2,\) and same \(1,\)"),
        ([0.1, math.nan], [True, False], None, "similarity of pair 1 is nan"),
        ([0.1, 0.2], [True, True], None, "2 same and 0 different pairs"),
        ([0.1, 0.2], [True, False], [0, 0], "outside fold 0 there are 0 same and 0 different"),
        ([0.1, 0.2], [True, False], [0], r"folds are \(1,\) for \(2,\) pairs"),
    ],
)
def test_bad_input_is_named(
    similarity: list[float], same: list[bool], folds: list[int] | None, message: str
) -> None:
    cut = None if folds is None else np.array(folds)
    with pytest.raises(RequestError, match=message):
        scored_pairs(np.array(similarity), np.array(same), cut)


def test_a_rate_outside_zero_and_one_is_refused() -> None:
    pairs = scored_pairs(
        np.array([0.1, 0.9] * 2), np.array([False, True] * 2), np.array([0, 0, 1, 1])
    )
    with pytest.raises(RequestError, match=r"rate 1\.5 is not between 0 and 1"):
        tar_at_far(pairs, [1.5])
