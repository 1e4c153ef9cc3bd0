from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chisquare

from cleaning.review.audit import estimate_noise, sample_audit

photo_sets = st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), unique=True, max_size=40)


def photos(count: int) -> list[tuple[str, str]]:
    return [(f"{number:064x}", f"person {number % 7}") for number in range(count)]


@given(photo_sets, st.integers(0, 50), st.integers(), st.randoms(use_true_random=False))
def test_the_sample_is_distinct_and_independent_of_order(
    rows: list[tuple[str, str]], size: int, seed: int, random
) -> None:
    drawn = sample_audit(rows, size, seed)
    assert len(set(drawn)) == len(drawn) == min(size, len(rows))
    assert drawn == sample_audit(rows, len(rows), seed)[:size]
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert [shuffled[i] for i in sample_audit(shuffled, size, seed)] == [rows[i] for i in drawn]


@given(photo_sets, st.integers(1, 50), st.integers(0, 9), st.data())
def test_a_photo_that_goes_is_replaced_by_one_and_nothing_else_changes(
    rows: list[tuple[str, str]], size: int, seed: int, data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(rows)) if rows else None
    left = [row for row in rows if row != gone]
    before = {rows[i] for i in sample_audit(rows, size, seed)}
    after = {left[i] for i in sample_audit(left, size, seed)}
    assert before - {gone} <= after
    assert len(after - before) <= 1


def test_every_photo_is_equally_likely() -> None:
    rows = photos(50)
    drawn = [index for seed in range(2_000) for index in sample_audit(rows, 10, seed)]
    assert chisquare(np.bincount(drawn, minlength=50)).pvalue > 0.001


def test_names_that_are_not_unicode_are_drawn_too() -> None:
    assert sample_audit([("1", "caf\udce9")], 1, 0) == [0]


@pytest.mark.parametrize("size", [1, 20, 100, 500])
def test_the_interval_covers_the_truth_in_95_percent_of_all_audits(size: int) -> None:
    outcomes = [estimate_noise(wrong, size - wrong, 0) for wrong in range(size + 1)]
    low = np.array([outcome.low for outcome in outcomes])
    high = np.array([outcome.high for outcome in outcomes])
    for noise in np.linspace(0, 1, 101):
        # Exact, over all outcomes that such an audit can have.
        covered = (low <= noise) & (noise <= high)
        assert binom.pmf(np.arange(size + 1), size, noise)[covered].sum() >= 0.95


def test_samples_of_a_set_with_known_noise_cover_it() -> None:
    rows = photos(2_000)
    is_wrong = np.random.default_rng(7).random(len(rows)) < 0.02
    covered = 0
    for seed in range(200):
        wrong = int(is_wrong[sample_audit(rows, 150, seed)].sum())
        estimate = estimate_noise(wrong, 150 - wrong, 0)
        covered += estimate.low <= is_wrong.mean() <= estimate.high
    assert covered >= 190


def test_known_figures() -> None:
    # Clopper and Pearson for 0 of n: the upper limit is 1 - 0.025 ** (1 / n).
    clean = estimate_noise(0, 300, 5)
    assert (clean.noise, clean.low, clean.unsure) == (0.0, 0.0, 5)
    assert clean.high == pytest.approx(1 - 0.025 ** (1 / 300))
    some = estimate_noise(10, 90, 0)
    assert (some.noise, some.low, some.high) == pytest.approx((0.1, 0.0490, 0.1762), abs=1e-4)


def test_an_audit_in_which_nothing_could_be_judged_says_nothing() -> None:
    estimate = estimate_noise(0, 0, 4)
    assert (estimate.noise, estimate.low, estimate.high) == (None, 0.0, 1.0)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 9))
def test_the_estimate_lies_in_its_interval(wrong: int, right: int, unsure: int) -> None:
    estimate = estimate_noise(wrong, right, unsure)
    middle = 0.0 if estimate.noise is None else estimate.noise
    assert 0 <= estimate.low <= middle + 1e-12
    assert middle <= estimate.high + 1e-12
    assert estimate.high <= 1
