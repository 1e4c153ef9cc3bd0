"""Margins: known values, slopes against finite differences, safety at the ends of the range."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.margins import MARGINS, Margin, arcface, combined, cosface

LABEL = torch.tensor([0])
SETTINGS = {
    "arcface": Margin(angle=0.5, scale=1.0),
    "cosface": Margin(cosine=0.35, scale=1.0),
    "combined": Margin(multiply=1.2, angle=0.3, cosine=0.2, scale=1.0),
}


def logit(name: str, cosine: torch.Tensor) -> torch.Tensor:
    rest = torch.zeros(1, 1, dtype=cosine.dtype)
    return MARGINS[name](torch.cat([cosine.view(1, 1), rest], dim=1), LABEL, SETTINGS[name])[0, 0]


def test_arcface_adds_the_angle() -> None:
    cosine = torch.tensor([[math.cos(1.0), 0.3]])
    logits = arcface(cosine, LABEL, Margin(angle=0.5, scale=10.0))
    assert logits[0, 0].item() == pytest.approx(10 * math.cos(1.5), abs=1e-4)
    assert logits[0, 1].item() == pytest.approx(3.0)


def test_cosface_subtracts_the_margin() -> None:
    logits = cosface(torch.tensor([[0.6, 0.3]]), LABEL, Margin(cosine=0.35, scale=2.0))
    assert logits.tolist() == [[pytest.approx(0.5), pytest.approx(0.6)]]


def test_combined_holds_all_three() -> None:
    margin = Margin(multiply=1.1, angle=0.2, cosine=0.1, scale=4.0)
    logits = combined(torch.tensor([[math.cos(0.7)]]), LABEL, margin)
    assert logits.item() == pytest.approx(4 * (math.cos(1.1 * 0.7 + 0.2) - 0.1), abs=1e-4)


def test_a_row_of_another_shard_is_only_scaled() -> None:
    cosine = torch.tensor([[0.2, -0.4]])
    logits = combined(cosine, torch.tensor([-1]), Margin(angle=0.5, scale=3.0))
    assert torch.allclose(logits, 3 * cosine)


@pytest.mark.parametrize("name", MARGINS)
@given(value=st.floats(-0.98, 0.98))
def test_slopes_match_finite_differences(name: str, value: float) -> None:
    """Central differences in float64-like steps over the float32 result."""
    point = torch.tensor(value, requires_grad=True)
    (slope,) = torch.autograd.grad(logit(name, point), point)
    step = 4e-3
    above, below = (logit(name, torch.tensor(value + d)) for d in (step, -step))
    estimate = (above - below).item() / (2 * step)
    assert slope.item() == pytest.approx(estimate, rel=0.08, abs=0.02)


@pytest.mark.parametrize("name", MARGINS)
@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_ends_of_the_range_are_finite(name: str, value: float) -> None:
    point = torch.tensor(value, requires_grad=True)
    result = logit(name, point)
    (slope,) = torch.autograd.grad(result, point)
    assert torch.isfinite(result)
    assert torch.isfinite(slope)
    assert abs(slope.item()) < 1000


@pytest.mark.parametrize("name", MARGINS)
@given(low=st.floats(-1, 1), high=st.floats(-1, 1))
def test_a_nearer_face_never_scores_less(name: str, low: float, high: float) -> None:
    """Monotone over the whole range, past the point where angle plus margin exceeds 180°."""
    low, high = sorted((low, high))
    assert logit(name, torch.tensor(low)) <= logit(name, torch.tensor(high)) + 1e-5


@pytest.mark.parametrize("name", MARGINS)
@given(value=st.floats(-1, 1))
def test_the_true_class_is_never_easier(name: str, value: float) -> None:
    assert logit(name, torch.tensor(value)).item() <= value + 1e-4
