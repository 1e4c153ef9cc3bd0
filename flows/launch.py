"""Training as child processes: the torchrun command, its start, its restarts and its end.

None of the children is left when ``run_training`` ends. If this process is killed, torchrun hears
of it (``flows.tether``), and its ranks write a checkpoint and end; if torchrun is, the system ends
the ranks. Their output goes to ``train.log`` in the run's folder. Every start goes on from the
run's last whole checkpoint: starting again is all that is needed after whatever happened.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from cleaning.faces.config import usable_cores
from facedata.errors import RequestError, StorageError, WorkError
from flows.ending import Ended, Outcome, describe_death
from flows.fleet import CHECKPOINT_SECONDS, MODULE, Fleet
from flows.processes import LAUNCHER, Kind, end_all, end_command, launcher_mark
from flows.tether import tethered
from training.run_state import is_done, last_step

CONFIG = "config.yaml"
LOG = "train.log"
_PROGRESS = "progress.jsonl"
_ASK_SECONDS = 0.5

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

    @property
    def kind(self) -> Kind:
        """The processes of all runs beside this one."""
        return Kind(module=MODULE, folder=self.output.parent, name=CONFIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """Who is told: ``progress`` of every line of progress, ``say`` of what happens to the run."""

    progress: Callable[[ProgressLine], None]
    say: Callable[[str], None]


def run_training(launch: Launch, follow: Follow) -> None:
    """Train until done, starting again what ends early; a run that is done is left as it is.

    Raises:
        RequestError: the processes say that the request is wrong; it is not repeated.
        WorkError: the run was asked to stop, keeps ending without a new checkpoint, or ended in a
            way that starting again does not mend.
    """
    if is_done(launch.output) and last_step(launch.output):
        return
    fruitless = 0
    with _listening() as stop:
        _await_orphans(launch, follow, stop)
        while True:
            before = last_step(launch.output)
            ended = _run_once(launch, follow, stop)
            if ended.outcome == "done":
                return
            after = last_step(launch.output)
            _raise_final(ended, launch, after, stop)
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
            _raise_final(ended, launch, after, stop)


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


def _await_orphans(launch: Launch, follow: Follow, stop: _Stop) -> None:
    """Let the processes of a start that was killed come to their end.

    They may be of this run or of one beside it. They know of it and are writing a checkpoint.
    """
    left = launch.kind.orphans()
    if not left:
        return
    follow.say(
        f"{len(left)} processes of an earlier start are still at work (process {min(left)} and "
        "others); waiting for their checkpoint"
    )
    end = time.monotonic() + CHECKPOINT_SECONDS
    while left and time.monotonic() < end:
        if stop.asked:
            raise WorkError(
                f"training {launch.output}: stopped while waiting for processes of an earlier "
                "start; run the same command to go on"
            )
        stop.wait(_ASK_SECONDS)
        left = launch.kind.orphans()
    end_all(launch.kind.orphans)


def _run_once(launch: Launch, follow: Follow, stop: _Stop) -> Ended:
    """Start the processes, follow them to their end, and leave none behind."""
    outcome = Outcome.of(launch.output)
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
            tethered(launch.fleet.command(launch.config, launch.output.name)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment(launch.fleet),
        )
        try:
            _follow(process, news, follow, stop)
        finally:
            end_command(process, launch.kind)
    for line in news.lines():
        follow.progress(line)
    return outcome.news() or Ended(
        outcome="killed", reason=_death(process.returncode, launch, start), exit_code=1
    )


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


def _raise_final(ended: Ended, launch: Launch, step: int, stop: _Stop) -> None:
    """Raise for an end after which starting again is not for this command to decide."""
    training = f"training {launch.output}"
    if ended.exit_code == RequestError.exit_code:
        raise RequestError(ended.reason)
    if not ended.passing:
        raise WorkError(f"{training}: {ended.reason}")
    last = f"the last checkpoint is of step {step}" if step else "there is no checkpoint yet"
    if stop.times > 1:
        raise WorkError(f"{training}: ended at once; {last}; run the same command to go on")
    if ended.outcome == "stopped":
        raise WorkError(f"{training}: stopped; {last}; run the same command to go on")
    if stop.asked:
        raise WorkError(
            f"{training}: stopped without a checkpoint of where it was ({ended.reason}); {last}; "
            "run the same command to go on"
        )


def _death(code: int, launch: Launch, start: int) -> str:
    with (launch.output / LOG).open("rb") as stream:
        stream.seek(start)
        return describe_death(code, stream.read().decode("utf-8", "replace"))


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
    usual = {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
    return usual | os.environ | {LAUNCHER: launcher_mark()}
