"""The order in which samples are trained on: one endless sequence, the same for any machine.

The sequence is a function of (seed, samples per shard) alone. Epoch after epoch follow one another
without a gap; within an epoch every sample comes exactly once: shards are shuffled, cut into
blocks of ``block_shards``, and the samples of a block are shuffled among themselves. Where a
position lies is computed, not reached by reading, so that a run starts anywhere in it and holds the
permutation of one block.

A global batch is the next ``global_batch`` positions, across the end of an epoch where need be: the
last samples of an epoch share a batch with the first ones of the next, and none is left out or
repeated. Rank r of w takes the r-th of w equal runs of the batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from training.data.mixing import key_of, permutation

_SHARDS, _SAMPLES = 1, 2
_BLOCKS_IN_MEMORY = 2
_EPOCHS_IN_MEMORY = 2

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConfig:
    """``block_shards`` shards are shuffled together; more mix better and are open at once."""

    seed: int = 0
    block_shards: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where samples lie: arrays (n,) int64 of epoch, shard number and row in the shard."""

    epoch: NDArray[np.int64]
    shard: NDArray[np.int64]
    row: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _EpochPlan:
    """Shards of an epoch in order; ``starts[b]`` is the first position of block b."""

    shards: NDArray[np.int64]
    starts: NDArray[np.int64]


class SampleOrder:
    """The endless sequence over shards of ``counts`` samples each."""

    def __init__(self, counts: Sequence[int], config: OrderConfig) -> None:
        """``counts`` must hold at least one sample in all."""
        self._counts = np.asarray(counts, dtype=np.int64)
        self._config = config
        self.samples = int(self._counts.sum())
        """Samples in an epoch."""
        self._plans: OrderedDict[int, _EpochPlan] = OrderedDict()
        self._blocks: OrderedDict[tuple[int, int], tuple[NDArray[np.int64], ...]] = OrderedDict()

    def places(self, first: int, last: int) -> Places:
        """Where the positions ``first`` ≤ p < ``last`` of the sequence lie."""
        positions = np.arange(first, last, dtype=np.int64)
        epochs, inside = np.divmod(positions, self.samples)
        shards, rows = np.empty_like(positions), np.empty_like(positions)
        for epoch in np.unique(epochs):
            chosen = np.flatnonzero(epochs == epoch)
            shards[chosen], rows[chosen] = self._in_epoch(int(epoch), inside[chosen])
        return Places(epoch=epochs, shard=shards, row=rows)

    def _in_epoch(
        self, epoch: int, positions: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        starts = self._plan(epoch).starts
        blocks = np.searchsorted(starts, positions, side="right") - 1
        shards, rows = np.empty_like(positions), np.empty_like(positions)
        for block in np.unique(blocks):
            chosen = np.flatnonzero(blocks == block)
            block_shards, block_rows = self._block(epoch, int(block))
            offsets = positions[chosen] - starts[block]
            shards[chosen], rows[chosen] = block_shards[offsets], block_rows[offsets]
        return shards, rows

    def _plan(self, epoch: int) -> _EpochPlan:
        plan = self._plans.get(epoch)
        if plan is None:
            shards = permutation(len(self._counts), key_of(self._config.seed, epoch, _SHARDS))
            ends = np.cumsum(self._counts[shards])
            size = self._config.block_shards
            starts = np.concatenate([[0], ends[size - 1 :: size]]).astype(np.int64)
            plan = _EpochPlan(shards, starts[: -(-len(shards) // size)])
            self._plans[epoch] = plan
            _forget(self._plans, _EPOCHS_IN_MEMORY)
        return plan

    def _block(self, epoch: int, block: int) -> tuple[NDArray[np.int64], ...]:
        """Shard and row of every position of a block, in order."""
        found = self._blocks.get((epoch, block))
        if found is None:
            size = self._config.block_shards
            members = self._plan(epoch).shards[block * size : (block + 1) * size]
            counts = self._counts[members]
            shards = np.repeat(members, counts)
            rows = np.arange(len(shards)) - np.repeat(np.cumsum(counts) - counts, counts)
            order = permutation(len(shards), key_of(self._config.seed, epoch, _SAMPLES, block))
            found = (shards[order], rows[order])
            self._blocks[epoch, block] = found
            _forget(self._blocks, _BLOCKS_IN_MEMORY)
        return found


def rank_span(start: int, global_batch: int, rank: int, world_size: int) -> tuple[int, int]:
    """First position, and the one after the last, of a rank's part of the batch at ``start``."""
    first = start + rank * global_batch // world_size
    last = start + (rank + 1) * global_batch // world_size
    return first, last


def steps_of(epochs: float, samples: int, global_batch: int) -> int:
    """Steps that train on every sample ``epochs`` times at least.

    The last batch is filled up with the first samples of the epoch that would follow.
    """
    return -int(-epochs * samples // global_batch)


def _forget(kept: OrderedDict[_Key, _Value], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
