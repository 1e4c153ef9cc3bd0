"""Processes of a command: those of a dead launcher are told from those of one that lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.processes import LAUNCHER, Kind, end_command, launcher_mark
from flows.tether import tethered

Sleep = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def sleep(tmp_path: Path) -> Iterator[Sleep]:
    """``sleep(config, mark)`` starts a process in a session of its own."""
    (tmp_path / "sleeper.py").write_text("import time\ntime.sleep(60)\n")
    started = []

    def start(config: str, mark: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sleeper", "--config", str(tmp_path / config)]
        environment = os.environ | {LAUNCHER: mark}
        started.append(
            subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def kind(tmp_path: Path) -> Kind:
    return Kind(module="sleeper", folder=tmp_path, name="config.yaml")


def seen(kind: Kind, count: int) -> set[int]:
    end = time.monotonic() + 20
    while len(kind.running()) < count and time.monotonic() < end:
        time.sleep(0.02)
    return set(kind.running())


def test_those_below_the_folder_are_found(sleep: Sleep, kind: Kind) -> None:
    mine = sleep("a/config.yaml", "1 1"), sleep("b/config.yaml", launcher_mark())
    for other in ("a/other.yaml", "a/b/config.yaml", "config.yaml"):
        sleep(other, "1 1")

    assert seen(kind, 2) == {process.pid for process in mine}
    assert kind.orphans() == [mine[0].pid]


def test_a_launcher_that_is_dead_or_another_by_now_leaves_orphans(sleep: Sleep, kind: Kind) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    pid, _, started = launcher_mark().partition(" ")
    left = [sleep("a/config.yaml", f"{dead.pid} {started}"), sleep("a/config.yaml", f"{pid} 1")]
    sleep("a/config.yaml", f"{pid} {started}")

    assert len(seen(kind, 3)) == 3
    assert set(kind.orphans()) == {process.pid for process in left}


def test_a_command_ends_with_all_it_started_and_nothing_else(sleep: Sleep, kind: Kind) -> None:
    command, own = (sleep("a/config.yaml", launcher_mark()) for _ in range(2))
    other = sleep("a/config.yaml", "1 1")
    assert len(seen(kind, 3)) == 3

    end_command(command, kind)

    assert list(kind.running()) == [other.pid]
    assert own.wait(10) == -signal.SIGKILL


def test_a_tethered_command_is_told_that_its_parent_died() -> None:
    middle = (
        "import subprocess, sys, time\n"
        "from flows.tether import tethered\n"
        "line = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        "print(subprocess.Popen(tethered(line)).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", middle], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    line = Path(f"/proc/{child}/cmdline")
    end = time.monotonic() + 20
    while b"flows.tether" in line.read_bytes() and time.monotonic() < end:
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    parent.stdout.close()

    while line.exists() and line.read_bytes() and time.monotonic() < end:
        time.sleep(0.02)
    assert not line.exists() or not line.read_bytes()


def test_a_command_whose_parent_is_gone_is_not_started() -> None:
    words = tethered([sys.executable, "-c", "print('started')"])
    words[3] = "1"

    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (1, "")
