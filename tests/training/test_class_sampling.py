"""Sampling of classes: positives always, negatives evenly, the asked count exactly."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training import class_sampling
from training.class_sampling import SampledClasses, sample_classes, seeded

CPU = torch.device("cpu")


@given(
    classes=st.integers(1, 300),
    share=st.floats(0, 1),
    extra=st.floats(0, 1),
    seed=st.integers(0, 2**40),
)
def test_positives_and_the_exact_count(classes: int, share: float, extra: float, seed: int) -> None:
    generator = seeded(CPU, seed)
    positives = torch.nonzero(torch.rand(classes, generator=generator) < share).squeeze(1)
    count = max(1, len(positives) + int(extra * (classes - len(positives))))
    sampled = sample_classes(positives, classes, count, generator)
    assert len(sampled) == count
    assert sampled.tolist() == sorted(set(sampled.tolist()))
    assert set(positives.tolist()) <= set(sampled.tolist())
    assert 0 <= sampled.min() <= sampled.max() < classes


@pytest.mark.parametrize("block", [2**22, 7])
def test_all_negatives_are_as_likely(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(class_sampling, "_BLOCK_CLASSES", block)
    positives, rounds = torch.tensor([3, 17]), 3000
    counts = torch.zeros(20)
    for seed in range(rounds):
        counts[sample_classes(positives, 20, 5, seeded(CPU, seed))] += 1
    assert counts[positives].tolist() == [rounds, rounds]
    others = torch.ones(20, dtype=torch.bool).index_fill(0, positives, False)
    chance = 3 / 18
    deviation = (rounds * chance * (1 - chance)) ** 0.5
    assert ((counts[others] - rounds * chance).abs() < 4.5 * deviation).all()


def test_places_of_classes_among_the_sampled() -> None:
    sampled = SampledClasses(index=torch.tensor([2, 5, 9]), count=3)
    assert sampled.places_of(torch.tensor([9, -1, 2])).tolist() == [2, -1, 0]
    everything = SampledClasses(index=None, count=10)
    assert everything.places_of(torch.tensor([9, -1, 2])).tolist() == [9, -1, 2]


def test_a_generator_depends_on_every_key_and_nothing_else() -> None:
    keys = [(1, 2, 3), (1, 2, 4), (1, 3, 3), (2, 2, 3), (2, 1, 3), (1, 2, 3)]
    numbers = [torch.rand(1, generator=seeded(CPU, *key)).item() for key in keys]
    assert len(set(numbers)) == 5
    assert numbers[0] == numbers[-1]
