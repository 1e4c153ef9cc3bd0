"""The bench that trains from shards: a tiny run of it, and one that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.train_shards import Case, Setting, measure, release

TINY = Setting(device="cpu", processes=1, batch=4, steps=4, crops=24, classes=40, workers=0)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    release(tmp_path, TINY.crops, TINY.classes)
    return tmp_path


@pytest.mark.timeout(120)
def test_a_case_is_trained_and_read(workspace: Path) -> None:
    row = measure(Case(backbone="micro"), TINY, workspace)

    assert row["reason"] is None
    assert row["step_ms"] == pytest.approx(4 / row["samples_per_s"] * 1e3)
    assert row["read_share"] == pytest.approx(row["samples_per_s"] / row["read_per_s"])
    assert row["peak_mb"] > 0


@pytest.mark.timeout(120)
def test_a_case_that_cannot_be_trained_says_why(workspace: Path) -> None:
    row = measure(Case(backbone="micro", decode="gpu"), TINY, workspace)

    assert row["reason"] == "data.decode is gpu, device is cpu; set data.decode: cpu"
    assert "samples_per_s" not in row
