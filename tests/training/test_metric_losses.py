"""Metric losses against their definitions, alone and over two gloo processes."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from facedata.errors import RequestError
from training.margins import MarginConfig
from training.metric_losses import METRIC_LOSSES, JointLoss, MetricLoss, MetricLossConfig
from training.partial_fc import PartialFC, PartialFCConfig

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("metric_losses_ranks.py")
ROWS = torch.randn(10, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 3, 3, 3])


def config(name: str, **changes: Any) -> MetricLossConfig:
    return MetricLossConfig(name=name, **{"classes": 4, "embedding_size": 8} | changes)


def squared_distances(rows: torch.Tensor) -> torch.Tensor:
    unit = functional.normalize(rows)
    return 2 - 2 * unit @ unit.T


def mean(values: list[torch.Tensor]) -> float:
    return float(torch.stack([value for value in values if value > 0]).mean())


def test_triplets_are_semi_hard() -> None:
    apart, size, margin = squared_distances(ROWS), len(ROWS), 0.5
    expected = []
    for anchor, positive, negative in product(range(size), repeat=3):
        same = LABELS[anchor] == LABELS[positive] and anchor != positive
        gap = apart[anchor, negative] - apart[anchor, positive]
        if same and LABELS[anchor] != LABELS[negative] and 0 < gap <= margin:
            expected.append(margin - gap)
    assert len(expected) > 5
    loss = MetricLoss(config("triplet", margin=margin))(ROWS, LABELS)
    assert loss.item() == pytest.approx(mean(expected), rel=1e-4)


def test_contrastive_pulls_and_pushes_pairs() -> None:
    apart, size, margin = squared_distances(ROWS), len(ROWS), 1.5
    pairs = [(a, b) for a, b in product(range(size), repeat=2) if a != b]
    same = [apart[a, b] for a, b in pairs if LABELS[a] == LABELS[b]]
    other = [margin - apart[a, b] for a, b in pairs if LABELS[a] != LABELS[b]]
    loss = MetricLoss(config("contrastive", margin=margin))(ROWS, LABELS)
    assert loss.item() == pytest.approx(mean(same) + mean(other), rel=1e-4)


def test_center_loss_follows_its_paper() -> None:
    layer = MetricLoss(config("center", weight=0.1, classes=6))
    rows = ROWS.clone().requires_grad_()
    for _ in range(2):
        layer(rows, LABELS)
        layer.step(123.0)  # the means have a rate of their own
    means = torch.zeros(6, 8)
    for _ in range(2):
        for label in range(4):
            mine = ROWS[torch.eq(LABELS, label)]
            means[label] += 0.5 * (mine - means[label]).sum(dim=0) / (1 + len(mine))
    torch.testing.assert_close(layer.state_dict()["criterion.means"], means)
    loss = layer(rows, LABELS)
    loss.backward()
    assert loss.item() == pytest.approx(
        0.1 * (ROWS - means[LABELS]).square().sum(dim=1).mean().item() / 2
    )
    torch.testing.assert_close(rows.grad, 0.1 * (ROWS - means[LABELS]) / 10)


@pytest.mark.parametrize("name", METRIC_LOSSES)
def test_rows_without_a_class_count_for_nothing(name: str) -> None:
    more = torch.cat([ROWS, torch.full((2, 8), 9.0)])
    labels = torch.cat([LABELS, torch.tensor([-1, -1])])
    loss, expected = MetricLoss(config(name))(more, labels), MetricLoss(config(name))(ROWS, LABELS)
    assert loss.item() == pytest.approx(expected.item())
    nothing = ROWS.clone().requires_grad_()
    MetricLoss(config(name))(nothing, torch.full((10,), -1)).backward()
    assert not nothing.grad.any()


@pytest.mark.parametrize("name", METRIC_LOSSES)
def test_the_loop_can_treat_all_alike(name: str) -> None:
    layer = MetricLoss(config(name))
    layer(ROWS.clone().requires_grad_(), LABELS).backward()
    assert layer.gradient_norm().item() == 0
    layer.step(0.1)


def test_a_step_needs_a_loss() -> None:
    with pytest.raises(RequestError, match="there is nothing to follow"):
        MetricLoss(config("center")).step(0.1)


def test_nobody_to_follow_moves_nothing() -> None:
    layer = MetricLoss(config("center"))
    layer(ROWS, LABELS)
    layer.step(0.1)
    before = layer.state_dict()["criterion.means"].clone()
    layer(ROWS, torch.full((10,), -1))
    layer.step(0.1)
    assert torch.equal(layer.state_dict()["criterion.means"], before)


DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@pytest.mark.parametrize("device", DEVICES)
def test_class_means_move_alike_to_the_bit(device: str) -> None:
    """As ranks must, who each compute them; with many rows of a class, added in any order."""
    rows = torch.randn(4000, 64, generator=torch.Generator().manual_seed(1)).to(device)
    labels = (torch.arange(4000) % 3).to(device)
    layers = [MetricLoss(config("center", embedding_size=64), device=device) for _ in range(5)]
    for layer in layers:
        layer(rows, labels)
        layer.step(0.1)
    means = [layer.state_dict()["criterion.means"] for layer in layers]
    assert all(torch.equal(one, means[0]) for one in means)


@pytest.mark.parametrize("name", METRIC_LOSSES)
def test_labels_that_are_no_class_are_refused(name: str) -> None:
    with pytest.raises(RequestError, match=f"metric loss {name}: label 4 is not one of the 4"):
        MetricLoss(config(name))(ROWS, LABELS + 1)


def test_losses_add_up() -> None:
    margin = MarginConfig(angle=0.3, scale=16.0)
    layer = PartialFC(PartialFCConfig(classes=4, embedding_size=8, margin=margin))
    center = MetricLoss(config("center", weight=0.1))
    joint = JointLoss([layer, center])
    before = layer.centres.rows.clone()
    expected = layer(ROWS, LABELS) + center(ROWS, LABELS)
    rows = ROWS.clone().requires_grad_()
    loss = joint(rows, LABELS)
    loss.backward()
    assert loss.item() == pytest.approx(expected.item())
    assert joint.gradient_norm().item() == pytest.approx(layer.gradient_norm().item())
    joint.step(0.1)
    assert not torch.equal(layer.centres.rows, before)
    assert center.state_dict()["criterion.means"].any()
    assert "layers.0.centres.rows" in joint.state_dict()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ranks")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), str(folder)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.mark.parametrize("name", METRIC_LOSSES)
def test_two_ranks_do_what_one_does(ranks: list[dict[str, Any]], name: str) -> None:
    records = [rank[name] for rank in ranks]
    alone = MetricLoss(config(name, margin=0.5))
    rows = records[0]["rows"].clone().requires_grad_()
    loss = alone(rows, records[0]["labels"])
    loss.backward()
    alone.step(0.1)
    assert [record["loss"] for record in records] == pytest.approx([loss.item()] * 2)
    gradient = torch.cat([record["gradient"] for record in records]) / 2
    torch.testing.assert_close(gradient, rows.grad)
    for record in records:
        torch.testing.assert_close(record["state"], alone.state_dict())
        same = [
            torch.equal(value, records[0]["state"][key]) for key, value in record["state"].items()
        ]
        assert all(same)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [("quadruplet", {}, "'quadruplet'"), ("center", {"mean_rate": 0.0}, "mean_rate is 0.0")],
)
def test_bad_configurations_are_refused(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        config(name, **changes)
