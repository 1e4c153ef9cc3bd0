"""A sample of pairs tells where the score at a rank lies, with a margin for what it cannot know."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.evaluate.comparison import compare_within
from training.evaluate.exact import on_grid
from training.evaluate.sample import SIDE, Sample, count_blocks, random_block
from training.evaluate.scan import ALL, BINS, BINS_PER_UNIT, LOWEST, CpuStripe
from training.evaluate.window import TOP

Faces = tuple[NDArray[np.float32], NDArray[np.int64]]


def histogram(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """As a backend makes it."""
    bins = np.floor((scores - LOWEST) * BINS_PER_UNIT).astype(np.int64)
    return np.bincount(bins, minlength=BINS)


@given(
    scores=st.lists(st.integers(-1000, 1000), min_size=1, max_size=300),
    parts=st.integers(1, 4),
    data=st.data(),
)
def test_a_sample_of_everything_holds_the_score(
    scores: list[int], parts: int, data: st.DataObject
) -> None:
    exact = np.array(scores) / 1000
    rank = data.draw(st.integers(1, len(scores)))
    sample = Sample()
    for part in np.array_split(exact, parts):
        sample.add(histogram(part))

    low, high = sample.around(rank, len(scores))

    assert low <= np.sort(exact)[::-1][rank - 1] < high


def test_nothing_seen_means_anywhere() -> None:
    sample = Sample()
    sample.add(np.zeros(BINS, dtype=np.int64))
    assert sample.around(1, 10) == (ALL, TOP)


def test_blocks_that_differ_widen_the_window() -> None:
    scores = np.random.default_rng(0).normal(0, 0.1, (8, 10_000))
    uneven = scores + np.linspace(-0.02, 0.02, 8)[:, None]
    widths = []
    for blocks in (scores, uneven):
        sample = Sample()
        for block in blocks:
            sample.add(histogram(block))
        low, high = sample.around(80_000, 8_000_000)
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]


def test_a_block_has_impostor_pairs_only(people: Callable[..., Faces]) -> None:
    faces = people(30, 4)
    comparison = compare_within(*faces, "test")
    rows, columns = random_block(comparison, 3)
    assert rows.shape == columns.rows.shape == (120, 64)

    product = rows @ columns.rows.T
    column = np.arange(120)
    kept = (column < columns.skip_from[:, None]) | (column >= columns.skip_to[:, None])
    whose = {bytes(row): who for row, who in zip(on_grid(faces[0]), faces[1], strict=True)}
    left = np.array([whose[bytes(row)] for row in rows])
    right = np.array([whose[bytes(row)] for row in columns.rows])
    assert (kept == (left[:, None] != right[None])).all()
    assert CpuStripe(rows).histogram(columns).sum() == kept.sum()
    assert product[~kept].max() > 0.99
    assert not (rows == random_block(comparison, 4)[0]).all()


@pytest.mark.parametrize(
    ("impostors", "blocks"),
    [
        (1, 16),
        (16 * 64 * SIDE**2, 16),
        (17 * 64 * SIDE**2 - 1, 16),
        (17 * 64 * SIDE**2, 17),
        (511 * 64 * SIDE**2, 511),
        (512 * 64 * SIDE**2, 512),
        (10**15, 512),
    ],
)
def test_a_sample_is_a_small_part_and_bounded(impostors: int, blocks: int) -> None:
    assert count_blocks(impostors) == blocks
