"""A build gives the same version however often it is killed, and wherever it is built."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SEED = 20
KILLS = 10
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Whole:
    """A build that nobody disturbed."""

    workspace: Path
    digest: str
    seconds: float


def files(workspace: Path, pattern: str) -> dict[str, tuple[int, int]]:
    """Path below the workspace → when it was written (ns) and its inode."""
    return {
        str(path.relative_to(workspace)): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in workspace.glob(pattern)
    }


def kill_at_work(moment: float, workspace: Path, arguments: list[str], winnow: Any) -> None:
    """Start a build and end it and its children with SIGKILL after ``moment`` seconds.

    On a machine that has become quicker the build may be done by then: the moment then moves
    forward, in an empty workspace.
    """
    while True:
        process = subprocess.Popen(
            [winnow.command, *arguments],
            env=winnow.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(moment)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE_SECONDS)
            return
        shutil.rmtree(workspace)
        moment *= 0.8


@pytest.fixture(scope="module")
def module_recipe(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of its own, because it outlives one test."""
    path = tmp_path_factory.mktemp("recipe") / "people.yaml"
    sources = json.dumps([{"folder": {"path": str(photos)}}])
    path.write_text(f"name: people\nmodels: demo\nsources: {sources}\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def whole(winnow: Any, module_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The build that all others are compared with."""
    workspace = tmp_path_factory.mktemp("whole") / "work"
    started = time.monotonic()
    done = winnow("build", module_recipe, "-w", workspace, "--json")
    seconds = time.monotonic() - started
    return Whole(workspace, str(done.answer["release"]["digest"]), seconds)


@pytest.mark.parametrize("runner", ["threads", "processes"])
def test_another_workspace_gives_the_same_version(
    runner: str, winnow: Any, module_recipe: Path, whole: Whole, tmp_path: Path
) -> None:
    other = tmp_path / "another place"

    done = winnow("build", module_recipe, "-w", other, "--json", "--runner", runner)

    assert done.answer["release"]["digest"] == whole.digest
    ours, theirs = (
        {
            str(path.relative_to(folder)): path.read_bytes()
            for path in (folder / "versions").rglob("*")
            if path.is_file()
        }
        for folder in (whole.workspace, other)
    )
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_a_second_run_finds_everything_done(winnow: Any, module_recipe: Path, whole: Whole) -> None:
    before = files(whole.workspace, "[sv]*/**/*.*")
    done = winnow("build", module_recipe, "-w", whole.workspace, "--json")

    assert done.answer["release"]["digest"] == whole.digest
    assert done.answer["release"]["is_new"] is False
    assert files(whole.workspace, "[sv]*/**/*.*") == before


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_build_is_resumed_to_the_same_digest(
    kill: int, winnow: Any, module_recipe: Path, whole: Whole, tmp_path: Path
) -> None:
    """Ten moments drawn at random, one in each tenth of an undisturbed run's duration."""
    moment = (kill + random.Random(SEED + kill).random()) / KILLS * whole.seconds
    workspace = tmp_path / "work"
    arguments = ["build", str(module_recipe), "-w", str(workspace), "--json"]
    kill_at_work(moment, workspace, arguments, winnow)
    complete = files(workspace, "stages/*/*/manifest.json")
    released = [path.parent for path in workspace.glob("versions/*/manifest.json")]

    done = winnow(*arguments)

    assert done.answer["release"]["digest"] == whole.digest
    assert [path.name for path in (workspace / "versions").iterdir()] == ["people-v0001"]
    assert done.answer["release"]["is_new"] is not bool(released)
    now = files(workspace, "stages/*/*/manifest.json")
    assert {name: now.get(name) for name in complete} == complete
    assert winnow("versions", "verify", "people-v0001", "-w", workspace).code == 0
    assert list(workspace.glob("tmp/*")) == []
