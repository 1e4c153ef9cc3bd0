"""Versions that nobody finished training on, and what a run without a version does with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facedata.errors import WorkspaceError
from facedata.lock import hold_training
from facedata.storage import Storage
from flows.catch_up import find_unfinished, mark_settled
from flows.train import train
from flows.training_job import TrainingOptions

PEOPLE = {"Ada": 0, "Bea": 1}
OPTIONS = TrainingOptions(detector="demo")


@pytest.fixture
def workspace(tmp_path: Path, make_version: Callable[..., Any]) -> Path:
    """Three versions of one data set and one of another."""
    root = tmp_path / "work"
    for version in ("people-v0001", "people-v0002", "people-v0003", "others-v0001"):
        make_version(root, PEOPLE, images=2, version=version)
    return root


def found(workspace: Path, dataset: str | None = None) -> str | None:
    return find_unfinished(str(workspace), "demo_cpu", OPTIONS, dataset).version


def begin(workspace: Path, version: str, **outcome: Any) -> Storage:
    run = Storage(workspace / "training" / f"{version}-demo_cpu")
    run.write("config.yaml", b"")
    if outcome:
        run.write("outcome.json", json.dumps({"message": "", **outcome}).encode())
    return run


def test_the_newest_then_what_was_begun(workspace: Path) -> None:
    assert found(workspace) == "people-v0003"
    begin(workspace, "people-v0001", outcome="stopped", exit_code=75)

    mark_settled(begin(workspace, "people-v0003"), "people-m0001")

    # The second was never begun: a newer one is trained.
    assert found(workspace) == "people-v0001"
    assert found(workspace, "others") == "others-v0001"
    mark_settled(begin(workspace, "people-v0001"), "people-m0002")
    assert found(workspace) == "others-v0001"
    mark_settled(begin(workspace, "others-v0001"), "others-m0001")
    assert found(workspace) is None


@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        ({"outcome": "done", "exit_code": 0, "passing": True}, True),
        ({"outcome": "failed", "exit_code": 1, "passing": True}, True),
        ({"outcome": "failed", "exit_code": 2, "passing": False}, True),
        ({"outcome": "failed", "exit_code": 1, "passing": False}, False),
    ],
)
def test_what_a_restart_does_not_mend_is_left_alone(
    workspace: Path, outcome: dict[str, Any], again: bool
) -> None:
    begin(workspace, "people-v0003", **outcome)

    assert (found(workspace, "people") == "people-v0003") is again


def test_a_run_without_a_version_ends_at_once_when_there_is_nothing_to_do(
    workspace: Path,
) -> None:
    def catch_up() -> Any:
        return train.fn(None, str(workspace), options=OPTIONS)

    for version in ("people-v0003", "others-v0001"):
        mark_settled(begin(workspace, version), "m")
    assert catch_up() == {"version": None, "reason": "every version is trained"}

    with hold_training(Storage(workspace), "people-v0002-demo_cpu", print):
        held = catch_up()
    assert held["version"] is None
    assert held["reason"].endswith(f"(people-v0002-demo_cpu) trains in {workspace}")


def test_a_version_that_is_being_trained_is_refused(workspace: Path) -> None:
    with (
        hold_training(Storage(workspace), "people-v0003-demo_cpu", print),
        pytest.raises(WorkspaceError, match=r"process \d+ trains people-v0003-demo_cpu, or is to"),
    ):
        train.fn("people-v0003", str(workspace), options=OPTIONS)
