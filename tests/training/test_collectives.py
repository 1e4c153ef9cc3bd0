"""Exchanges between ranks, and their gradients, with real processes over gloo."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from training.collectives import Ranks, gather_rows, logsumexp_over

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("collectives_ranks.py")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), str(folder)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    return folder


@pytest.fixture(params=[1, 3], ids=lambda size: f"{size} ranks")
def ranks(request: pytest.FixtureRequest, recorded: Path) -> list[dict[str, Any]]:
    size = request.param
    paths = [recorded / f"{size}-{rank}.pt" for rank in range(size)]
    return [torch.load(path, weights_only=False) for path in paths]


def test_ranks_know_their_place(ranks: list[dict[str, Any]]) -> None:
    assert [(record["rank"], record["size"]) for record in ranks] == [
        (rank, len(ranks)) for rank in range(len(ranks))
    ]


def test_every_rank_gets_all_rows_in_order(ranks: list[dict[str, Any]]) -> None:
    expected = [[value] for rank in range(len(ranks)) for value in (rank + 1 / 3, rank)]
    for record in ranks:
        torch.testing.assert_close(record["rows"], torch.tensor(expected))


def test_low_precision_is_only_in_what_travels(ranks: list[dict[str, Any]]) -> None:
    for record in ranks:
        assert record["low"].dtype == torch.float32
        assert torch.equal(record["low"], record["rows"].bfloat16().float())


def test_the_gradient_is_summed_over_ranks_and_times_their_number(
    ranks: list[dict[str, Any]],
) -> None:
    size = len(ranks)
    factors = sum(rank + 1 for rank in range(size)) * size
    for rank, record in enumerate(ranks):
        expected = [[(2 * rank + 1) * factors], [(2 * rank + 2) * factors]]
        assert record["own"].tolist() == expected


def test_what_all_compute_alike_counts_once(ranks: list[dict[str, Any]]) -> None:
    for rank, record in enumerate(ranks):
        expected = torch.tensor([[2 * (rank + 1 / 3)], [2.0 * rank]]) * len(ranks)
        torch.testing.assert_close(record["shared"], expected)


def test_reductions(ranks: list[dict[str, Any]]) -> None:
    last = len(ranks) - 1
    total = last * (last + 1) / 2
    for record in ranks:
        assert record["sum"].tolist() == [total, 200 * total]
        assert record["max"].tolist() == [last, 200 * last, -math.inf]
        expected = [math.log(sum(math.exp(rank) for rank in range(last + 1))), 0.0, -math.inf]
        assert record["logsumexp"].tolist() == pytest.approx(expected)


def test_labels_that_do_not_fit_are_refused_on_every_rank(ranks: list[dict[str, Any]]) -> None:
    expected = {
        "high": "the layer: label 7 is not one of the 7 classes",
        "low": "the layer: label -2 is not one of the 7 classes",
    }
    if len(ranks) > 1:
        expected["uneven"] = "the layer: the batch size differs between ranks: 5 to 7"
    for record in ranks:
        found = {name: message.split(";")[0] for name, message in record["refused"].items()}
        assert found == expected


def test_alone_nothing_is_exchanged() -> None:
    alone = Ranks.of(None)
    rows = torch.tensor([[1.0], [2.0]], requires_grad=True)
    gather_rows(rows, alone).sum().backward()
    assert (alone.rank, alone.size) == (0, 1)
    assert rows.grad.tolist() == [[1.0], [1.0]]
    values = torch.tensor([3.0, -torch.inf])
    assert torch.equal(logsumexp_over(values, alone), values)
