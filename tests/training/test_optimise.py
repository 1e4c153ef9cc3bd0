"""Schedules and clipping, against what they must be."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from training.config import OptimiserConfig
from training.optimise import (
    Schedule,
    backbone_optimiser,
    clip_gradient,
    learning_rate,
    set_learning_rate,
)

SCHEDULE = Schedule(peak=0.4, steps=110, warmup_steps=10, power=2.0)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.04), (4, 0.2), (9, 0.4), (10, 0.4), (60, 0.1), (109, 0.4 * 1e-4)]
)
def test_the_rate_rises_and_falls(step: int, rate: float) -> None:
    assert learning_rate(step, SCHEDULE) == pytest.approx(rate)


@given(st.integers(1, 1000), st.integers(0, 1200), st.floats(0.5, 4.0), st.floats(1e-4, 1.0))
def test_the_rate_is_positive_and_never_above_its_peak(
    steps: int, warmup_steps: int, power: float, peak: float
) -> None:
    schedule = Schedule(peak=peak, steps=steps, warmup_steps=warmup_steps, power=power)

    rates = [learning_rate(step, schedule) for step in range(steps)]

    assert all(0 < rate <= peak * (1 + 1e-12) for rate in rates)
    after = rates[warmup_steps:]
    assert after == sorted(after, reverse=True)


def with_gradient() -> nn.Linear:
    torch.manual_seed(1)
    backbone = nn.Linear(5, 8)
    backbone(torch.randn(10, 5)).square().sum().backward()
    return backbone


def norm_of(backbone: nn.Linear) -> float:
    return sum(float(one.grad.square().sum()) for one in backbone.parameters()) ** 0.5


def test_a_gradient_is_clipped_by_its_norm() -> None:
    backbone = with_gradient()
    before = norm_of(backbone)
    direction = backbone.weight.grad / before

    found = clip_gradient(backbone.parameters(), 0.01)

    assert float(found) == pytest.approx(before, rel=1e-5)
    assert norm_of(backbone) == pytest.approx(0.01, rel=1e-3)
    torch.testing.assert_close(backbone.weight.grad / norm_of(backbone), direction)


@pytest.mark.parametrize("most", [1e6, None])
def test_a_small_gradient_stays_as_it_is(most: float | None) -> None:
    backbone = with_gradient()
    before = backbone.weight.grad.clone()

    found = clip_gradient(backbone.parameters(), most)

    assert torch.equal(backbone.weight.grad, before)
    assert float(found) == pytest.approx(norm_of(backbone), rel=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_the_optimiser_is_the_one_asked_for(name: str, kind: type) -> None:
    config = OptimiserConfig(name=name, weight_decay=0.25)

    optimiser = backbone_optimiser([nn.Parameter(torch.zeros(1))], config)
    set_learning_rate(optimiser, 0.125)

    assert type(optimiser) is kind
    assert optimiser.param_groups[0]["lr"] == 0.125
    assert optimiser.param_groups[0]["weight_decay"] == 0.25
