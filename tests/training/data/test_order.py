"""Every sample once per epoch, in one order for any number of ranks, from any position."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.mixing import key_of, permutation, uniforms
from training.data.order import OrderConfig, SampleOrder, rank_span, steps_of

COUNTS = st.lists(st.integers(0, 12), min_size=1, max_size=9).filter(lambda counts: sum(counts) > 0)
ORDER_OF_SEED_7 = (
    [2, 0, 2, 0, 0, 1, 1, 1, 1],
    [0, 0, 1, 2, 1, 3, 1, 2, 0],
)
CONFIGS = st.builds(
    OrderConfig, seed=st.integers(0, 2**63), block_shards=st.integers(min_value=1, max_value=10)
)


def listed(order: SampleOrder, first: int, last: int) -> list[tuple[int, int, int]]:
    places = order.places(first, last)
    columns = (places.epoch, places.shard, places.row)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(COUNTS, CONFIGS, st.integers(0, 1000))
def test_an_epoch_holds_every_sample_exactly_once(
    counts: list[int], config: OrderConfig, epoch: int
) -> None:
    order = SampleOrder(counts, config)

    found = listed(order, epoch * order.samples, (epoch + 1) * order.samples)

    expected = [(epoch, shard, row) for shard, count in enumerate(counts) for row in range(count)]
    assert sorted(found) == expected


@given(COUNTS, CONFIGS, st.data())
def test_any_position_is_found_without_those_before(
    counts: list[int], config: OrderConfig, data: st.DataObject
) -> None:
    order = SampleOrder(counts, config)
    whole = listed(order, 0, 3 * order.samples)
    first = data.draw(st.integers(0, len(whole)))
    last = data.draw(st.integers(first, len(whole)))

    assert listed(SampleOrder(counts, config), first, last) == whole[first:last]


@given(st.integers(0, 10**9), st.integers(1, 4096), st.integers(1, 64))
def test_the_parts_of_the_ranks_are_the_batch(start: int, batch: int, world_size: int) -> None:
    spans = [rank_span(start, batch, rank, world_size) for rank in range(world_size)]

    assert spans[0][0] == start
    assert spans[-1][1] == start + batch
    assert all(one[1] == following[0] for one, following in pairwise(spans))
    sizes = [last - first for first, last in spans]
    assert max(sizes) - min(sizes) <= (batch % world_size != 0)


def test_only_the_shards_of_one_block_are_mixed() -> None:
    order = SampleOrder([5] * 8, OrderConfig(seed=3, block_shards=2))

    shards = order.places(0, 40).shard.reshape(4, 10)

    blocks = [set(block.tolist()) for block in shards]
    assert [len(block) for block in blocks] == [2, 2, 2, 2]
    assert set().union(*blocks) == set(range(8))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    order = SampleOrder([50, 50], OrderConfig(seed=1))
    other = SampleOrder([50, 50], OrderConfig(seed=2))

    first, second = order.places(0, 100), order.places(100, 200)

    assert first.row.tolist() != second.row.tolist()
    assert first.row.tolist() != other.places(0, 100).row.tolist()


def test_the_order_never_changes_between_releases() -> None:
    places = SampleOrder([3, 4, 2], OrderConfig(seed=7, block_shards=2)).places(0, 9)

    assert places.shard.tolist() == ORDER_OF_SEED_7[0]
    assert places.row.tolist() == ORDER_OF_SEED_7[1]


@pytest.mark.parametrize(
    ("epochs", "samples", "batch", "steps"),
    [(1, 100, 10, 10), (1, 101, 10, 11), (2, 101, 10, 21), (0.5, 100, 10, 5), (1, 3, 10, 1)],
)
def test_enough_steps_for_every_sample(epochs: float, samples: int, batch: int, steps: int) -> None:
    assert steps_of(epochs, samples, batch) == steps


@given(st.integers(0, 500), st.integers(0, 2**64 - 1))
def test_a_permutation_holds_every_number(length: int, key: int) -> None:
    assert sorted(permutation(length, key).tolist()) == list(range(length))


def test_uniform_numbers_are_spread_evenly() -> None:
    numbers = uniforms(100_000, key_of(1, 2))

    share, _ = np.histogram(numbers, bins=10, range=(0, 1))
    assert np.abs(share / 10_000 - 1).max() < 0.05
    assert key_of(1, 2) != key_of(2, 1)
