"""A window finds the score at a rank wherever it starts and however little it may keep."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluate.exact import STEP
from training.evaluate.window import Window


@settings(max_examples=50, deadline=None)
@given(
    scores=st.lists(st.integers(-1000, 1000), min_size=1, max_size=80),
    start=st.integers(-1400, 1400),
    width=st.sampled_from([STEP, 2.0**-40, 2.0**-17, 0.125]),
    keep=st.integers(0, 100),
    data=st.data(),
)
def test_the_score_at_a_rank_is_found(
    scores: list[int], start: int, width: float, keep: int, data: st.DataObject
) -> None:
    exact = np.array(scores) / 1024
    rank = data.draw(st.integers(1, len(scores)))
    window = Window(rank=rank, low=start / 1024, high=start / 1024 + width, keep=keep)

    passes = 0
    while not window.resolved:
        passes += 1
        for part in np.array_split(exact, 3):
            window.add(0, part)
        window.narrow()

    assert window.similarity == np.sort(exact)[::-1][rank - 1]
    assert window.exceeding == np.count_nonzero(exact > window.similarity)
    assert passes < 25


def test_what_is_only_counted_above_is_above() -> None:
    window = Window(rank=3, low=0.2, high=0.4)
    window.add(1, np.array([0.5, 0.3, 0.25, 0.1]))
    window.narrow()
    assert (window.resolved, window.similarity, window.exceeding) == (True, 0.3, 2)


def test_a_window_of_one_number_is_settled() -> None:
    window = Window(rank=3, low=0.25, high=0.25 + STEP, keep=1)
    window.add(1, np.array([0.5, 0.25, 0.25, 0.1]))
    window.narrow()
    assert (window.resolved, window.similarity, window.exceeding) == (True, 0.25, 2)


def test_a_full_window_is_cut() -> None:
    window = Window(rank=2, low=0.0, high=1.0, keep=2)
    window.add(0, np.array([0.1, 0.2, 0.3, 0.9]))
    window.narrow()
    assert not window.resolved
    assert window.low <= 0.3 < window.high
    assert window.high - window.low < 1e-4
