"""Progress as an artifact: any run's name gives a key, and no server's fault ends a run."""

from __future__ import annotations

from types import SimpleNamespace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.client.schemas.actions import ArtifactCreate
from prefect.exceptions import PrefectException

from flows import training_progress
from flows.progress import Reporter
from flows.training_progress import TrainingProgress, artifact_key

LINE = {"step": 1, "steps": 3, "epoch": 0.1, "loss": 1.0, "images_per_second": 9.0,
        "memory_mb": 1.0, "eta_s": 60.0}  # fmt: skip


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_every_name_gives_a_key_that_the_server_takes(name: str) -> None:
    key = artifact_key("training", name)

    assert ArtifactCreate(key=key, type="progress", data=1.0).key == key


def test_letters_and_digits_stay() -> None:
    assert artifact_key("training", "People-v0001-Köln_2²") == "training-people-v0001-k-ln-2-"


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        PrefectException("no"),
        RuntimeError("Failed to reach API"),
        ValueError("no JSON"),
    ],
)
def test_a_server_that_fails_is_told_once(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(training_progress, "create_progress_artifact", fail)
    monkeypatch.setattr(training_progress, "_AFTER_FAILURE_SECONDS", 0.0)
    monkeypatch.setattr(
        training_progress, "FlowRunContext", SimpleNamespace(get=lambda: "a flow run")
    )
    progress = TrainingProgress(Reporter(), "run")

    for step in (1, 2, 3):
        progress.add(LINE | {"step": step})

    assert capsys.readouterr().err.count("was not sent to the Prefect server: ") == 1
