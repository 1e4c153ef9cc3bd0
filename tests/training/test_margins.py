"""Margins: known values, slopes against finite differences, safety at the ends of the range."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facedata.errors import RequestError
from training.margins import (
    MARGINS,
    FeatureNorms,
    MarginConfig,
    harden,
    logit_scale,
    margin_logits,
    mean_and_deviation,
    require_margin,
)

SETTINGS = {
    "softmax": MarginConfig(name="softmax"),
    "normface": MarginConfig(name="normface"),
    "sphereface": MarginConfig(name="sphereface", multiply=4.0),
    "arcface": MarginConfig(name="arcface", angle=0.5),
    "cosface": MarginConfig(name="cosface", cosine=0.35),
    "combined": MarginConfig(name="combined", multiply=1.2, angle=0.3, cosine=0.2),
    "adaface": MarginConfig(name="adaface", angle=0.4),
}
LENGTHS = [5.0, 20.0, 60.0]  # of a poor, a usual and a good face
ALL = st.sampled_from(sorted(MARGINS))
QUALITY = st.sampled_from(LENGTHS)
COSINE = st.floats(-1, 1)


def norms(length: float) -> FeatureNorms:
    return FeatureNorms(
        values=torch.tensor([length]), mean=torch.tensor(20.0), deviation=torch.tensor(10.0)
    )


def hardened(name: str, value: float | torch.Tensor, length: float = 20.0) -> torch.Tensor:
    cosine = value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=torch.float64)
    return harden(cosine.view(1), norms(length), SETTINGS[name])[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("softmax", math.cos(0.7)),
        ("normface", math.cos(0.7)),
        ("sphereface", math.cos(2.8)),
        ("cosface", math.cos(0.7) - 0.35),
        ("arcface", math.cos(1.2)),
        ("combined", math.cos(1.2 * 0.7 + 0.3) - 0.2),
        ("adaface", math.cos(0.7) - 0.4),
    ],
)
def test_margins_are_those_of_their_papers(name: str, expected: float) -> None:
    assert hardened(name, math.cos(0.7)).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("length", "quality"), [(60.0, 1.0), (30.0, 0.333), (20.0, 0.0), (5.0, -1.5 * 0.333)]
)
def test_adaface_asks_more_angle_of_poor_faces_and_more_cosine_of_good_ones(
    length: float, quality: float
) -> None:
    expected = math.cos(0.7 - 0.4 * quality) - 0.4 * (1 + quality)
    assert hardened("adaface", math.cos(0.7), length).item() == pytest.approx(expected, abs=1e-6)


def test_sphereface_falls_on_past_180_degrees() -> None:
    quarter = math.pi / 4
    values = [hardened("sphereface", math.cos(turn * quarter)).item() for turn in range(5)]
    assert values == pytest.approx([1, -1, -3, -5, -7], abs=1e-3)


@pytest.mark.parametrize("name", MARGINS)
@pytest.mark.parametrize("value", [-0.9999, -0.98, -0.5, 0.1, 0.6, 0.99, 0.9999])
@pytest.mark.parametrize("length", LENGTHS)
def test_slopes_match_finite_differences(name: str, value: float, length: float) -> None:
    point = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda cosine: hardened(name, cosine, length), point)


@pytest.mark.parametrize("name", MARGINS)
@pytest.mark.parametrize("value", [-1.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("length", LENGTHS)
def test_ends_of_the_range_are_finite(
    name: str, value: float, dtype: torch.dtype, length: float
) -> None:
    point = torch.tensor(value, dtype=dtype, requires_grad=True)
    result = hardened(name, point, length)
    (slope,) = torch.autograd.grad(result, point)
    assert result.dtype == torch.promote_types(dtype, torch.float32)
    assert torch.isfinite(result)
    assert torch.isfinite(slope)
    assert abs(slope.item()) < 2000


@given(name=ALL, low=COSINE, high=COSINE, length=QUALITY)
def test_a_nearer_face_never_scores_less(name: str, low: float, high: float, length: float) -> None:
    low, high = sorted((low, high))
    assert hardened(name, low, length) <= hardened(name, high, length) + 1e-9


@given(name=ALL, value=COSINE, length=QUALITY)
def test_the_true_class_is_never_easier(name: str, value: float, length: float) -> None:
    # 1e-5: the range in which the angle's slope is held finite
    assert hardened(name, value, length).item() <= value + 1e-5


@pytest.mark.parametrize("name", MARGINS)
def test_only_the_true_class_of_a_row_is_made_harder(name: str) -> None:
    cosine = torch.tensor([[0.2, -0.4, 0.1], [0.3, 0.9, -0.2]])
    both = FeatureNorms(
        values=torch.tensor([3.0, 4.0]), mean=torch.tensor(3.5), deviation=torch.tensor(0.5)
    )
    logits = margin_logits(cosine, torch.tensor([-1, 1]), both, SETTINGS[name])
    expected = cosine * logit_scale(both, SETTINGS[name]).unsqueeze(1)
    hard = harden(cosine[:, 1], both, SETTINGS[name]) * logit_scale(both, SETTINGS[name])
    expected[1, 1] = hard[1]
    torch.testing.assert_close(logits, expected)


def test_the_scale_is_a_constant_but_for_softmax_the_norm() -> None:
    assert logit_scale(norms(3.0), MarginConfig(name="softmax", scale=7.0)).item() == 3.0
    assert logit_scale(norms(3.0), MarginConfig(name="arcface", scale=7.0)).item() == 7.0


def test_norms_are_measured_by_the_batch() -> None:
    measured = FeatureNorms.of_batch(torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    assert measured.values.tolist() == [5.0, 1.0]
    assert (measured.mean.item(), measured.deviation.item()) == (3.0, 2.0)


def test_a_runaway_norm_is_held() -> None:
    mean, deviation = mean_and_deviation(torch.tensor([1e9, 100.0]))
    assert (mean.item(), deviation.item()) == (100.0, 0.0)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"name": "arcfase"}, "'arcfase'; use one of adaface, arcface, combined"),
        ({"scale": 0.0}, "arcface: scale is 0.0"),
        ({"angle": -0.1}, "arcface: angle is -0.1; give 0 or more"),
        ({"angle": math.nan}, "arcface: angle is nan"),
        ({"name": "cosface", "cosine": -0.4}, "cosface: cosine is -0.4; give 0 or more"),
        ({"name": "sphereface", "multiply": 0.9}, "multiply is 0.9; .* give 1 or more"),
        (
            {"name": "combined", "multiply": 0.8, "angle": 0.3},
            "an angle of 0.3 the true class would be easier at some angles, give 0.905 or more",
        ),
        ({"name": "adaface", "angle": 0.4, "norm_spread": 0.0}, "norm_spread is 0.0"),
    ],
)
def test_bad_configurations_are_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        MarginConfig(**keys)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [*SETTINGS])
def test_a_margin_without_a_number_is_no_margin(name: str) -> None:
    require_margin(SETTINGS[name])
    if name in {"softmax", "normface"}:
        require_margin(MarginConfig(name=name))
        return

    with pytest.raises(RequestError, match=f"margin {name}: without .* it is no margin; give "):
        require_margin(MarginConfig(name=name))


def test_the_second_combination_of_the_arcface_paper_is_one() -> None:
    require_margin(MarginConfig(name="combined", multiply=0.9, angle=0.4, cosine=0.15))
