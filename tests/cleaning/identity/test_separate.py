"""Two mixed samples are told apart, whatever the shares."""

import numpy as np
import pytest

from cleaning.identity.separate import separate


def mixture(rng: np.random.Generator, size: int, same: float) -> np.ndarray:
    is_same = rng.random(size) < same
    return np.where(is_same, rng.normal(0.6, 0.1, size), rng.normal(0.0, 0.07, size))


@pytest.mark.parametrize(("across", "inside"), [(0.0, 0.95), (0.02, 0.8), (0.05, 0.5), (0.1, 0.36)])
def test_each_sample_loses_what_belongs_to_the_other(across: float, inside: float) -> None:
    rng = np.random.default_rng(0)
    mixed, other = mixture(rng, 100_000, across), mixture(rng, 5_000, inside)
    different, same = separate(mixed, other)
    assert (different > 0.35).mean() <= 0.2 * across + 1e-4
    assert np.median(different) == pytest.approx(0.0, abs=0.01)
    assert np.median(same) == pytest.approx(0.6, abs=0.05)
    assert np.isin(different, mixed).all()
    assert np.isin(same, other).all()


def test_too_little_is_returned_whole() -> None:
    across, inside = np.linspace(-1, 1, 49), np.linspace(-1, 1, 1000)
    different, same = separate(across, inside)
    assert different.tolist() == across.tolist()
    assert same.tolist() == inside.tolist()
