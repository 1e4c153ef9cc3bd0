"""The tail of different people: right on clean samples, unmoved by what does not belong there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning.identity.tail import fit_tail, prior_tail

PRIOR = prior_tail(128)


def normal(count: int, *, location: float = 0.02, scale: float = 0.06, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(location, scale, size=count)


def test_the_similarity_at_a_rate_is_exceeded_at_that_rate() -> None:
    sample = normal(1_000_000)
    tail = fit_tail(sample[:200_000], PRIOR)

    for rate in (0.01, 1e-3, 1e-4, 1e-5):
        assert (sample > tail.similarity_at(rate)).mean() == pytest.approx(rate, rel=0.6)


def test_same_people_among_the_samples_hardly_move_it() -> None:
    sample = normal(100_000)
    same = normal(1000, location=0.6, scale=0.1, seed=1)
    clean = fit_tail(sample, PRIOR)

    mixed = fit_tail(np.concatenate([sample, same]), PRIOR)

    for rate in (1e-3, 1e-6):
        assert mixed.similarity_at(rate) == pytest.approx(clean.similarity_at(rate), abs=0.02)


def test_a_third_of_same_people_leaves_the_bulk_where_it_is() -> None:
    mixed = fit_tail(np.concatenate([normal(2000), normal(1000, location=0.6, scale=0.1)]), PRIOR)

    assert mixed.location == pytest.approx(0.02, abs=0.01)
    assert mixed.scale == pytest.approx(0.06, abs=0.01)
    assert mixed.similarity_at(1e-3) < 0.35


@given(shift=st.floats(-0.5, 0.5), stretch=st.floats(0.1, 4.0))
def test_another_scale_gives_the_same_thresholds_on_that_scale(
    shift: float, stretch: float
) -> None:
    sample = normal(6000)
    tail, moved = fit_tail(sample, PRIOR), fit_tail(shift + stretch * sample, PRIOR)

    for rate in (0.05, 1e-3, 1e-7):
        wanted = shift + stretch * tail.similarity_at(rate)
        assert moved.similarity_at(rate) == pytest.approx(wanted, abs=1e-6)


def test_rates_and_similarities_are_each_others_inverse() -> None:
    tail = fit_tail(normal(50_000), PRIOR)
    rates = np.array([1e-2, 1e-3, 1e-5, 1e-8])

    similarities = np.array([tail.similarity_at(rate) for rate in rates])

    np.testing.assert_allclose(tail.rates_at(similarities), rates, rtol=1e-6)
    assert (np.diff(similarities) > 0).all()


@pytest.mark.parametrize("count", [0, 5, 29])
def test_too_few_samples_give_the_prior(count: int) -> None:
    assert fit_tail(normal(count), PRIOR) == PRIOR


def test_equal_samples_do_not_fail() -> None:
    tail = fit_tail(np.full(500, 0.3), PRIOR)

    assert tail.similarity_at(1e-3) == pytest.approx(0.3, abs=1e-3)
