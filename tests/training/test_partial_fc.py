"""Partial FC against a plain softmax over all classes, with real processes over gloo."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from facedata.errors import RequestError
from training import sharded_softmax
from training.centres import CentreOptimiser
from training.margins import (
    FeatureNorms,
    MarginConfig,
    harden,
    margin_logits,
    mean_and_deviation,
)
from training.partial_fc import PartialFC, PartialFCConfig, rows_of_rank

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("partial_fc_ranks.py")
SMALL = PartialFCConfig(classes=50, embedding_size=8, margin=MarginConfig(angle=0.3, scale=16.0))
Record = dict[str, Any]


def faces(count: int, dimensions: int = 8) -> torch.Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(count))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what all ranks recorded."""
    folder = tmp_path_factory.mktemp("ranks")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), str(folder)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    return folder


@pytest.fixture(scope="module", params=[1, 2, 4], ids=lambda size: f"{size} ranks")
def ranks(request: pytest.FixtureRequest, recorded: Path) -> list[Record]:
    """What every rank recorded, by rank."""
    size = request.param
    paths = [recorded / f"{size}-{rank}.pt" for rank in range(size)]
    return [torch.load(path, weights_only=False) for path in paths]


def whole(ranks: list[Record], scenario: str, when: str, name: str) -> torch.Tensor:
    """A sharded tensor of the state, put together."""
    return torch.cat([rank[scenario][when][name] for rank in ranks])


def running_norms(
    before: torch.Tensor | None, rows: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """AdaFace's running mean and deviation of the norms, after one more batch."""
    mine = torch.stack(mean_and_deviation(rows.norm(dim=1)[labels >= 0]))
    return mine if before is None else 0.99 * before + 0.01 * mine


def full_softmax(
    config: PartialFCConfig,
    rows: torch.Tensor,
    labels: torch.Tensor,
    centres: torch.Tensor,
    running: torch.Tensor | None = None,
) -> torch.Tensor:
    """The loss by its definition: all cosines in one matrix, torch's own cross-entropy."""
    unit = functional.normalize(centres, dim=2)
    cosine = torch.einsum("nd,ckd->nck", functional.normalize(rows), unit).amax(dim=2)
    mean, deviation = running_norms(None, rows, labels) if running is None else running
    norms = FeatureNorms(values=rows.norm(dim=1), mean=mean, deviation=deviation)
    logits = margin_logits(cosine, labels, norms, config.margin)
    if config.filter_similarity is not None:
        others = ~functional.one_hot(labels.clamp(min=0), config.classes).bool()
        logits = logits.masked_fill((cosine > config.filter_similarity) & others, -torch.inf)
    return functional.cross_entropy(logits, labels, ignore_index=-1)


def torch_optimiser(config: CentreOptimiser, centres: torch.Tensor) -> torch.optim.Optimizer:
    if config.name == "adamw":
        return torch.optim.AdamW([centres], lr=0.1, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        [centres], lr=0.1, momentum=config.momentum, weight_decay=config.weight_decay
    )


@pytest.mark.parametrize(
    "scenario", ["full", "adamw", "softmax", "adaface", "options", "travelled"]
)
def test_every_step_is_that_of_the_full_softmax(ranks: list[Record], scenario: str) -> None:
    config: PartialFCConfig = ranks[0][scenario]["config"]
    centres = whole(ranks, scenario, "before", "centres.rows").requires_grad_()
    optimiser = torch_optimiser(config.optimiser, centres)
    norms = None
    for number, step in enumerate(ranks[0][scenario]["steps"]):
        rows = step["rows"].clone()
        if config.gather_dtype == "bfloat16":
            rows = rows.bfloat16().float()
        norms = running_norms(norms, rows, step["labels"])
        rows.requires_grad_()
        loss = full_softmax(config, rows, step["labels"], centres, norms)
        optimiser.zero_grad()
        loss.backward()
        records = [rank[scenario]["steps"][number] for rank in ranks]
        assert [record["loss"] for record in records] == pytest.approx([loss.item()] * len(ranks))
        gradient = torch.cat([record["gradient"] for record in records]) / len(ranks)
        torch.testing.assert_close(gradient, rows.grad, atol=1e-6, rtol=1e-5)
        norm = centres.grad.norm().item()
        assert [r["norm"] for r in records] == pytest.approx([norm] * len(ranks), rel=1e-5)
        optimiser.step()
    after = whole(ranks, scenario, "after", "centres.rows")
    torch.testing.assert_close(after, centres.detach(), atol=1e-5, rtol=1e-5)


def test_adaface_follows_the_norms_of_many_batches(ranks: list[Record]) -> None:
    norms = None
    for step in ranks[0]["adaface"]["steps"]:
        norms = running_norms(norms, step["rows"], step["labels"])
    for rank in ranks:
        after = rank["adaface"]["after"]
        found = torch.stack([after["norm_mean"], after["norm_deviation"]])
        torch.testing.assert_close(found, norms, rtol=1e-5, atol=0)


def test_the_first_centres_do_not_depend_on_the_ranks(ranks: list[Record]) -> None:
    alone = PartialFC(ranks[0]["full"]["config"])
    assert torch.equal(whole(ranks, "full", "before", "centres.rows"), alone.centres.rows)


def test_only_sampled_rows_and_their_momentum_change(ranks: list[Record]) -> None:
    steps = [torch.cat([r["sampled"]["steps"][n]["sampled"] for r in ranks]) for n in (0, 1)]
    sampled = torch.zeros(1001, dtype=torch.bool)
    sampled[torch.cat(steps)] = True
    before, after = (whole(ranks, "sampled", when, "centres.rows") for when in ("before", "after"))
    assert torch.equal((before != after).any(dim=2).squeeze(1), sampled)
    momentum = whole(ranks, "sampled", "after", "centres.momentum")
    assert torch.equal((momentum != 0).any(dim=2).squeeze(1), sampled)
    assert not torch.equal(*steps)


def test_positives_are_always_sampled_and_all_ranks_sample_as_many(ranks: list[Record]) -> None:
    for number in (0, 1):
        steps = [rank["sampled"]["steps"][number] for rank in ranks]
        assert {len(step["sampled"]) for step in steps} == {1001 // 10 // len(ranks)}
        labels = steps[0]["labels"]
        sampled = torch.cat([step["sampled"] for step in steps])
        assert len(sampled.unique()) == len(sampled)
        assert set(labels[labels >= 0].tolist()) <= set(sampled.tolist())


def test_a_crowded_rank_raises_the_count_of_all(ranks: list[Record]) -> None:
    assert [len(rank["crowded"]["sampled"]) for rank in ranks] == [16] * len(ranks)
    assert ranks[0]["crowded"]["sampled"].tolist() == list(range(16))


def test_a_sampled_step_is_the_softmax_over_the_sampled(ranks: list[Record]) -> None:
    steps = [rank["sampled"]["steps"][0] for rank in ranks]
    sampled = torch.cat([step["sampled"] for step in steps])
    centres = whole(ranks, "sampled", "before", "centres.rows")[sampled]
    labels = steps[0]["labels"]
    places = torch.where(labels >= 0, torch.searchsorted(sampled, labels), -1)
    loss = full_softmax(ranks[0]["sampled"]["config"], steps[0]["rows"], places, centres)
    assert [step["loss"] for step in steps] == pytest.approx([loss.item()] * len(ranks))


def test_a_saved_state_goes_on_exactly(ranks: list[Record]) -> None:
    for rank in ranks:
        assert torch.equal(*rank["resumed"]["sampled"])
        went_on, loaded = rank["resumed"]["after"]
        assert all(torch.equal(value, loaded[name]) for name, value in went_on.items())


def test_the_mean_over_ranks_is_the_gradient_of_the_global_loss(ranks: list[Record]) -> None:
    record = ranks[0]["parallel"]
    weight = record["weights"]["weight"].clone().requires_grad_()
    rows = functional.linear(record["rows"], weight, record["weights"]["bias"])
    centres = whole(ranks, "parallel", "before", "centres.rows")
    full_softmax(ranks[0]["full"]["config"], rows, record["labels"], centres).backward()
    for rank in ranks:
        torch.testing.assert_close(rank["parallel"]["gradient"], weight.grad, atol=1e-5, rtol=1e-5)


def test_bfloat16_is_near_and_its_centres_move(ranks: list[Record]) -> None:
    steps = [rank["low"]["steps"][0] for rank in ranks]
    sampled = torch.cat([step["sampled"] for step in steps])
    before = whole(ranks, "low", "before", "centres.rows")
    labels = steps[0]["labels"]
    places = torch.where(labels >= 0, torch.searchsorted(sampled, labels), -1)
    config = ranks[0]["low"]["config"]
    loss = full_softmax(config, steps[0]["rows"], places, before.float()[sampled])
    assert [step["loss"] for step in steps] == pytest.approx([loss.item()] * len(ranks), rel=0.01)
    after = whole(ranks, "low", "after", "centres.rows")
    assert before.dtype == after.dtype == torch.bfloat16
    changed = (before != after).any(dim=2).squeeze(1)
    assert torch.equal(torch.nonzero(changed).squeeze(1), sampled)
    assert "centres.momentum" not in ranks[0]["low"]["after"]


def test_wrong_requests_are_refused_on_every_rank(ranks: list[Record]) -> None:
    for rank in ranks:
        messages = rank["refused"]
        assert ("uneven" in messages) == (len(ranks) > 1)
        assert "label 37 is not one of the 37 classes" in messages["label"]
        assert "partial FC" in messages["classes"]
        assert "there is no gradient" in messages["step"]


@pytest.mark.parametrize(("classes", "size"), [(37, 4), (8, 8), (9, 1), (100, 7)])
def test_ranks_share_all_classes_evenly(classes: int, size: int) -> None:
    shares = [rows_of_rank(classes, size, rank) for rank in range(size)]
    assert [row for share in shares for row in share] == list(range(classes))
    assert {len(share) for share in shares} <= {classes // size, math.ceil(classes / size)}


def test_more_ranks_than_classes_are_refused() -> None:
    with pytest.raises(RequestError, match="4 ranks for 3 classes"):
        rows_of_rank(3, 4, 0)


def test_blocks_do_not_change_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = faces(6), torch.tensor([0, 7, 7, 49, -1, 20])
    results = []
    for numbers in (2**20, 6 * 7):
        monkeypatch.setattr(sharded_softmax, "_BLOCK_NUMBERS", numbers)
        layer = PartialFC(SMALL)
        loss = layer(rows, labels)
        loss.backward()
        layer.step(1.0)
        results.append((loss.detach(), layer.centres.rows))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-4)


def test_rows_without_a_class_count_for_nothing() -> None:
    rows = faces(3).requires_grad_()
    layer = PartialFC(SMALL)
    loss = layer(rows, torch.full((3,), -1))
    loss.backward()
    assert loss.item() == 0
    assert not rows.grad.any()
    assert layer.gradient_norm() == 0


def test_a_lone_class_has_no_loss() -> None:
    rows = faces(3).requires_grad_()
    loss = PartialFC(replace(SMALL, classes=1))(rows, torch.zeros(3, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0
    assert not rows.grad.any()


def loss_and_gradients(
    config: PartialFCConfig,
    rows: torch.Tensor,
    labels: torch.Tensor,
    dtype: torch.dtype | None,
    device: str = "cpu",
) -> list[torch.Tensor]:
    """The loss, and the gradients of embeddings and of centres, inside an autocast to ``dtype``."""
    plain = replace(config, optimiser=CentreOptimiser(momentum=0.0, weight_decay=0.0))
    layer = PartialFC(plain, device=device)
    layer.load_state_dict(PartialFC(plain).state_dict())  # a GPU draws other first centres
    rows, before = rows.to(device, copy=True).requires_grad_(), layer.centres.rows.clone()
    with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
        loss = layer(rows, labels.to(device))
    loss.backward()
    layer.step(1.0)
    return [part.detach().cpu() for part in (loss, rows.grad, before - layer.centres.rows)]


def test_under_autocast_products_are_of_bfloat16_and_sums_of_float32() -> None:
    rows, labels = faces(6), torch.tensor([0, 7, 7, 49, 3, 20])
    units = functional.normalize(PartialFC(SMALL).centres.rows.squeeze(1))
    directions = functional.normalize(rows)
    logits = (16 * directions).bfloat16().double() @ units.bfloat16().double().T
    cosine = (directions * units[labels]).sum(dim=1)
    true = 16 * harden(cosine, FeatureNorms.of_batch(rows), SMALL.margin)
    logits[torch.arange(6), labels] = true.double()
    expected = functional.cross_entropy(logits, labels).item()
    loss, *_ = loss_and_gradients(SMALL, rows, labels, torch.bfloat16)
    plain, *_ = loss_and_gradients(SMALL, rows, labels, None)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert loss.item() != pytest.approx(plain.item(), rel=1e-5)


@pytest.mark.parametrize("sub_centres", [1, 2])
def test_bfloat16_products_change_gradients_a_little(sub_centres: int) -> None:
    margin = MarginConfig(angle=0.5)
    config = PartialFCConfig(
        classes=3000, embedding_size=128, margin=margin, sub_centres=sub_centres
    )
    rows, labels = faces(64, 128), torch.arange(0, 3000, 47)
    low = loss_and_gradients(config, rows, labels, torch.bfloat16)
    plain = loss_and_gradients(config, rows, labels, None)
    for found, expected in zip(low, plain, strict=True):
        error = (found - expected).norm() / expected.norm()
        assert 0 < error < 0.01


def test_an_autocast_to_float16_leaves_products_in_float32() -> None:
    rows, labels = faces(6), torch.tensor([0, 7, 7, 49, 3, 20])
    half = loss_and_gradients(SMALL, rows, labels, torch.float16)
    plain = loss_and_gradients(SMALL, rows, labels, None)
    assert all(torch.equal(*pair) for pair in zip(half, plain, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch sees")
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_a_gpu_gives_the_same_numbers(dtype: torch.dtype | None) -> None:
    config = PartialFCConfig(classes=3000, embedding_size=128, sub_centres=2)
    rows, labels = faces(64, 128), torch.arange(0, 3000, 47)
    expected = loss_and_gradients(config, rows, labels, dtype)
    found = loss_and_gradients(config, rows, labels, dtype, device="cuda")
    for there, here in zip(found, expected, strict=True):
        assert (there - here).norm() / here.norm() < (1e-4 if dtype is None else 1e-3)


def test_no_gradient_is_lost_silently() -> None:
    rows, labels = faces(4), torch.tensor([1, 2, 3, 4])
    layer = PartialFC(SMALL)
    layer(rows, labels).backward()
    with pytest.raises(RequestError, match="call step or discard_gradients"):
        layer(rows, labels)
    layer.discard_gradients()
    layer(rows, labels)


def test_without_gradients_nothing_waits() -> None:
    layer = PartialFC(replace(SMALL, sample_rate=0.5)).eval()
    with torch.no_grad():
        loss = layer(faces(4), torch.tensor([1, 2, 3, 4]))
    assert torch.isfinite(loss)
    with pytest.raises(RequestError, match="there is no gradient"):
        layer.step(0.1)


@pytest.mark.parametrize("half", [False, True])
def test_learning_separates_classes(half: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    people = functional.normalize(faces(50, 32))
    config = replace(SMALL, embedding_size=32, sample_rate=0.3, centre_dtype="bfloat16")
    layer = PartialFC(config)
    for _ in range(100):
        labels = torch.randint(0, 50, (32,), generator=generator)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss = layer(people[labels], labels)
        loss.backward()
        layer.step(0.05)
    centres = functional.normalize(layer.centres.rows.float().squeeze(1))
    assert torch.equal((people @ centres.T).argmax(dim=1), torch.arange(50))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 0}, "classes is 0"),
        ({"sample_rate": 0.0}, "sample_rate is 0.0"),
        ({"filter_similarity": 2.0}, "filter_similarity is 2.0"),
    ],
)
def test_bad_configurations_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        replace(SMALL, **changes)
