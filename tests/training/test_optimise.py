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
    clip_gradients,
    learning_rate,
    set_learning_rate,
)
from training.partial_fc import PartialFC, PartialFCConfig

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


def trained_once(seed: int = 1) -> tuple[nn.Linear, PartialFC]:
    torch.manual_seed(seed)
    backbone = nn.Linear(5, 8)
    layer = PartialFC(PartialFCConfig(classes=6, embedding_size=8))
    loss = layer(backbone(torch.randn(10, 5)), torch.randint(0, 6, (10,)))
    loss.backward()
    return backbone, layer


def joint_norm(backbone: nn.Linear, layer: PartialFC) -> float:
    squares = [float(one.grad.square().sum()) for one in backbone.parameters()]
    return (sum(squares) + float(layer.gradient_norm()) ** 2) ** 0.5


def test_both_gradients_are_clipped_by_their_joint_norm() -> None:
    backbone, layer = trained_once()
    before = joint_norm(backbone, layer)
    direction = backbone.weight.grad / layer.gradient_norm()

    found = clip_gradients(backbone.parameters(), layer, most=0.01)

    assert float(found) == pytest.approx(before, rel=1e-5)
    assert joint_norm(backbone, layer) == pytest.approx(0.01, rel=1e-3)
    torch.testing.assert_close(backbone.weight.grad / layer.gradient_norm(), direction)


def test_a_small_gradient_stays_as_it_is() -> None:
    backbone, layer = trained_once()
    before = backbone.weight.grad.clone(), layer.gradient_norm()

    clip_gradients(backbone.parameters(), layer, most=1e6)

    assert torch.equal(backbone.weight.grad, before[0])
    assert torch.equal(layer.gradient_norm(), before[1])


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_the_optimiser_is_the_one_asked_for(name: str, kind: type) -> None:
    config = OptimiserConfig(name=name, weight_decay=0.25)

    optimiser = backbone_optimiser([nn.Parameter(torch.zeros(1))], config)
    set_learning_rate(optimiser, 0.125)

    assert type(optimiser) is kind
    assert optimiser.param_groups[0]["lr"] == 0.125
    assert optimiser.param_groups[0]["weight_decay"] == 0.25
