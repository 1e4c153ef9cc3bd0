"""Training as child processes: the torchrun command, its start, its restarts and its end.

The children are a process group of their own, so that nothing of it outlives this module; their
output goes to ``train.log`` in the run's folder. How they ended is in ``outcome.json``, which
``training.run`` writes; a run that left none was killed. Every start goes on from the run's last
whole checkpoint, so starting again is all that is needed after whatever happened.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from cleaning.faces.config import usable_cores
from facedata.errors import RequestError, StorageError, WorkError
from flows.fleet import MODULE, Fleet
from flows.processes import end_group, end_leftovers

CONFIG = "config.yaml"
LOG = "train.log"
_OUTCOME, _PROGRESS = "outcome.json", "progress.jsonl"
_ASK_SECONDS = 0.5
_LAST_LINES = 5

ProgressLine = dict[str, Any]
"""A line of ``progress.jsonl``; its keys are the fields of ``training.log.Progress``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """A run that ends early is started again, ``restarts`` times without a new checkpoint."""

    restarts: int = 3
    wait_seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A run: its folder, which holds ``config.yaml``, and the processes for it."""

    output: Path
    fleet: Fleet
    patience: Patience = Patience()

    @property
    def config(self) -> Path:
        """The configuration that the processes read."""
        return self.output / CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """Who is told: ``progress`` of every line of progress, ``say`` of what happens to the run."""

    progress: Callable[[ProgressLine], None]
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    outcome: str
    reason: str
    exit_code: int


def run_training(launch: Launch, follow: Follow) -> None:
    """Train until done, starting again what ends early.

    Raises:
        RequestError: the processes say that the request is wrong; it is not repeated.
        WorkError: the run was asked to stop, or keeps ending without a new checkpoint.
    """
    if launch.fleet.nodes == 1:
        end_leftovers([MODULE, "--config", str(launch.config)], follow.say)
    fruitless = 0
    with _listening() as stop:
        while True:
            before = last_checkpoint(launch.output)
            ended = _run_once(launch, follow, stop)
            if ended.outcome == "done":
                return
            after = last_checkpoint(launch.output)
            _raise_final(ended, launch, after, stopped=stop.asked)
            fruitless = 0 if after > before else fruitless + 1
            if fruitless > launch.patience.restarts:
                raise WorkError(
                    f"training {launch.output}: ended {fruitless} times without a new checkpoint, "
                    f"last: {ended.reason}; see {launch.output / LOG}, then run the same command "
                    "to go on"
                )
            follow.say(
                f"training ended early: {ended.reason}; starting again from "
                f"{f'the checkpoint of step {after}' if after else 'the beginning'}"
            )
            stop.wait(launch.patience.wait_seconds)


def last_checkpoint(output: Path) -> int:
    """The step of the newest whole checkpoint of a run; 0 without one."""
    markers = (output / "checkpoints").glob("step-*/state.json")
    return max((int(path.parent.name.removeprefix("step-")) for path in markers), default=0)


class _Stop:
    """How often SIGINT or SIGTERM came: once asks the run to stop, twice ends it at once."""

    def __init__(self) -> None:
        self.times = 0
        self._came = threading.Event()

    @property
    def asked(self) -> bool:
        return self.times > 0

    def note(self, _number: int, _frame: FrameType | None) -> None:
        self.times += 1
        self._came.set()

    def wait(self, seconds: float) -> None:
        self._came.wait(seconds)


@contextmanager
def _listening() -> Iterator[_Stop]:
    """Take the signals over for the block; only a main thread can."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, stop.note) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _run_once(launch: Launch, follow: Follow, stop: _Stop) -> _Ended:
    """Start the processes, follow them to their end, and leave none behind."""
    outcome = launch.output / _OUTCOME
    stamp = _stamp(outcome)
    news = _News(launch.output / _PROGRESS)
    try:
        log = (launch.output / LOG).open("ab")
    except OSError as error:
        raise StorageError(
            f"{launch.output / LOG}: cannot be written ({error.strerror}); free space and run again"
        ) from error
    with log:
        start = log.tell()
        process = subprocess.Popen(
            launch.fleet.command(launch.config, launch.output.name),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment(launch.fleet),
        )
        try:
            _follow(process, news, follow, stop)
        finally:
            end_group(process)
    for line in news.lines():
        follow.progress(line)
    if _stamp(outcome) == stamp:
        return _Ended(outcome="killed", reason=_death(process, launch, start), exit_code=1)
    said = json.loads(outcome.read_text("utf-8"))
    return _Ended(outcome=said["outcome"], reason=said["message"], exit_code=int(said["exit_code"]))


def _follow(process: subprocess.Popen[bytes], news: _News, follow: Follow, stop: _Stop) -> None:
    told = False
    while process.poll() is None:
        if stop.times > 1:
            return
        if stop.asked and not told:
            follow.say("stopping training: a checkpoint is written first; once more to end at once")
            process.terminate()
            told = True
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ASK_SECONDS)
        for line in news.lines():
            follow.progress(line)


def _raise_final(ended: _Ended, launch: Launch, step: int, *, stopped: bool) -> None:
    """Raise for an end after which starting again is not for this command to decide."""
    if stopped or ended.outcome == "stopped":
        raise WorkError(
            f"training {launch.output}: stopped, with a checkpoint of step {step}; run the same "
            "command to go on"
        )
    if ended.exit_code == RequestError.exit_code:
        raise RequestError(ended.reason)


def _death(process: subprocess.Popen[bytes], launch: Launch, start: int) -> str:
    """Why a run without an outcome ended, as far as it can be told."""
    with (launch.output / LOG).open("rb") as stream:
        stream.seek(start)
        text = stream.read().decode("utf-8", "replace")
    own = [line.strip() for line in text.splitlines() if line.strip()]
    killed = next((line for line in own if "Signal " in line and "received by PID" in line), None)
    if killed is not None:
        return f"a process was killed ({killed.split('Signal ', 1)[1]:.100})"
    code = process.returncode
    if code < 0:
        return f"torchrun was killed by {signal.Signals(-code).name}"
    last = " | ".join(own[-_LAST_LINES:])
    return f"torchrun ended with code {code}: {last[-400:]}"


class _News:
    """Lines that a run adds to its progress file from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def lines(self) -> Iterator[ProgressLine]:
        """Whole lines since this was last asked."""
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield json.loads(line)


def _environment(fleet: Fleet) -> dict[str, str]:
    threads = max(1, usable_cores() // fleet.processes)
    return {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"} | os.environ


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino
