"""The rows of the class layer's bench, and what it does with a case that does not fit."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from benchmarks import partial_fc
from benchmarks.partial_fc import ON_GPU, Case, from_recipe, measure, measured_apart

SMALL = Case(classes=50, dimensions=16, sample_rate=0.2, momentum="bfloat16")


class EndsItsProcess:
    """Work whose arrival in a process ends that process."""

    def __call__(self, case: Case) -> dict[str, Any]:
        return {"classes": case.classes}

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def test_a_case_is_timed() -> None:
    row = measure(SMALL)

    assert (row["fits"], row["reason"], row["momentum"]) == (True, None, "bfloat16")
    assert row["samples_per_s"] == pytest.approx(row["batch"] / row["step_ms"] * 1e3)
    assert row["peak_mb"] > 0


def test_a_case_without_room_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> list[float]:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 102 GiB.")

    monkeypatch.setattr(partial_fc, "_steps", full)

    row = measure(SMALL)

    assert row["fits"] is False
    assert row["reason"] == "CUDA out of memory. Tried to allocate 102 GiB."
    assert "step_ms" not in row


def test_a_process_that_is_ended_costs_its_own_row() -> None:
    row = measured_apart(SMALL, EndsItsProcess())

    assert (row["classes"], row["fits"]) == (50, False)
    assert row["reason"] == "the system ended the process"


def test_the_largest_recipe_is_measured_as_it_trains() -> None:
    case = from_recipe("hundred_million", 100_000_000)

    assert case in ON_GPU
    assert (case.dimensions, case.sample_rate) == (128, 0.1)
    assert (case.centres, case.momentum, case.gathered) == ("bfloat16", "bfloat16", "bfloat16")
