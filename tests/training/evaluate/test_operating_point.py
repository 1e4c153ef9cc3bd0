"""Intervals of shares whose threshold was found on the same sample."""

from __future__ import annotations

import numpy as np
from scipy import stats

from training.evaluate.operating_point import interval_between, threshold_band
from training.evaluate.pairs import scored_pairs, tar_at_far


def test_the_interval_of_tar_covers_what_is_true_at_the_rate() -> None:
    """Genuine and impostor scores are normal, 3 apart: TAR at FAR 1e-3 is known."""
    rng, runs, covered = np.random.default_rng(4), 300, 0
    true = float(stats.norm.sf(stats.norm.isf(1e-3) - 3))
    for _ in range(runs):
        genuine, impostor = rng.normal(3, 1, 3000), rng.normal(0, 1, 10_000)
        low, high = threshold_band(impostor, 1e-3)
        fewest, most = int(np.sum(genuine >= high)), int(np.sum(genuine >= low))
        interval = interval_between((fewest, most), len(genuine))
        covered += interval[0] <= true <= interval[1]
    assert covered / runs >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / runs)


def test_the_interval_is_narrow_where_there_is_much_and_open_where_there_is_little() -> None:
    rng = np.random.default_rng(5)
    scores = np.concatenate([rng.normal(3, 1, 20_000), rng.normal(0, 1, 100_000)]) / 10
    same = np.arange(len(scores)) < 20_000
    point = tar_at_far(scored_pairs(scores, same), [1e-2])[1e-2]
    assert point is not None
    low, high = point.tar_interval
    assert low < point.tar < high < 1
    assert high - low < 0.05
    # Of 1,000 impostors none may lie above the threshold of 1e-3: no upper end.
    assert threshold_band(rng.normal(0, 1, 1000), 1e-3)[1] == np.inf
