"""Which classes of a shard take part in a step: all positives, and random negatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

_BLOCK_CLASSES = 2**22


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledClasses:
    """Classes of one shard, ascending places in it: ``index`` (count,) int64, or None for all."""

    index: torch.Tensor | None
    count: int

    def block(self, start: int, stop: int) -> slice | torch.Tensor:
        """Return what selects the ``start``-th to ``stop``-th sampled class out of the shard."""
        return slice(start, stop) if self.index is None else self.index[start:stop]

    def places_of(self, classes: torch.Tensor) -> torch.Tensor:
        """Return where each of ``classes`` (n,) int64 is among the sampled; -1 stays -1."""
        if self.index is None:
            return classes
        return torch.where(classes >= 0, torch.searchsorted(self.index, classes), classes)


def sample_classes(
    positives: torch.Tensor, classes: int, count: int, generator: torch.Generator
) -> torch.Tensor:
    """Return ``count`` ascending classes (count,) int64 of ``classes``: positives, then negatives.

    ``positives`` (p,) int64 are distinct, ascending and at most ``count``. Every set of negatives
    of the right size is as likely as any other. Takes one pass of random numbers over the shard,
    in blocks, and memory for the sampled indices; nothing is sorted or permuted but those.
    """
    wanted = count - len(positives)
    if wanted == 0:
        return positives
    others = classes - len(positives)
    # Each negative by chance a little too often, so that a second pass is all but never needed;
    # the surplus then goes, whichever it hits. Chances fixed apart, that is a uniform draw.
    chance = (wanted + 6 * math.sqrt(wanted) + 8) / others
    drawn = _draw(positives, classes, min(1.0, chance), generator)
    while len(drawn) < wanted:
        drawn = _draw(positives, classes, 1.0, generator)
    kept = torch.randperm(len(drawn), generator=generator, device=drawn.device)[:wanted]
    return torch.cat([positives, drawn[kept]]).sort().values


def seeded(device: torch.device, *keys: int) -> torch.Generator:
    """Return a generator whose numbers depend on all of ``keys`` (≥ 0) and nothing else."""
    state = np.random.SeedSequence(keys).generate_state(2)
    generator = torch.Generator(device=device)
    generator.manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)
    return generator


def _draw(
    positives: torch.Tensor, classes: int, chance: float, generator: torch.Generator
) -> torch.Tensor:
    """Return every class but the positives with the given chance, each by itself."""
    edges = [*range(0, classes, _BLOCK_CLASSES), classes]
    # All at once: every number that is read back makes the processor wait for the GPU.
    places = torch.searchsorted(positives, torch.tensor(edges, device=positives.device)).tolist()
    parts = []
    for (start, stop), (first, last) in zip(pairwise(edges), pairwise(places), strict=True):
        lots = torch.rand(stop - start, generator=generator, device=positives.device)
        lots.index_fill_(0, positives[first:last] - start, 2.0)
        parts.append(torch.nonzero(lots < chance).squeeze(1) + start)
    return torch.cat(parts)
