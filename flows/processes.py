"""Ending processes for good: a command with all it started, and what a dead command left behind.

torchrun gives every rank a session of its own, so that no process group holds them all. They are
found by their command line, and told apart by who launched them, which their environment says: on
one machine another node of the same run may be at work.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from facedata.errors import WorkError

LAUNCHER = "WINNOW_LAUNCHER"
"""In the environment of all that a launcher starts: ``launcher_mark`` of it."""

_PROC = Path("/proc")
_ASK_AGAIN_SECONDS = 0.1
_DIE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """This person's processes whose command line ends with ``-m MODULE --config FOLDER/*/NAME``.

    Where the system has no /proc none is found.
    """

    module: str
    folder: Path
    name: str

    def running(self) -> dict[int, str]:
        """The mark of the launcher of each of them, by process id."""
        found = {}
        for entry in _PROC.glob("[0-9]*"):
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                own = entry.stat().st_uid == os.getuid()
                if own and self._is_one((entry / "cmdline").read_bytes()):
                    found[int(entry.name)] = _mark_in((entry / "environ").read_bytes())
        return found

    def orphans(self) -> list[int]:
        """Those whose launcher is gone."""
        return [pid for pid, mark in self.running().items() if mark and not _lives(mark)]

    def _is_one(self, line: bytes) -> bool:
        *command, config = os.fsdecode(line).removesuffix("\0").split("\0")
        path = Path(config)
        return (
            command[-3:] == ["-m", self.module, "--config"]
            and path.name == self.name
            and path.parent.parent == self.folder
        )


def launcher_mark() -> str:
    """This process: its id, which the system gives again, and when it was started."""
    return f"{os.getpid()} {_started(os.getpid())}"


def end_command(process: subprocess.Popen[bytes], kind: Kind) -> None:
    """Kill what is left of ``process``, and all of a kind that this process has started.

    Returns when all of them are gone.

    Raises:
        WorkError: when the system does not end one of them.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    mark = launcher_mark()
    end_all(lambda: [pid for pid, other in kind.running().items() if other == mark])


def end_all(find: Callable[[], Sequence[int]]) -> None:
    """Kill what ``find`` finds until it finds none.

    Raises:
        WorkError: when the system does not end one of them.
    """
    end = time.monotonic() + _DIE_SECONDS
    while left := find():
        if time.monotonic() > end:
            raise WorkError(
                f"processes {', '.join(map(str, left))}: killed, but not gone after "
                f"{_DIE_SECONDS:.0f} s; see what holds them (a disk or a GPU that hangs), then run "
                "the same command to go on"
            )
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_ASK_AGAIN_SECONDS)


def _mark_in(environment: bytes) -> str:
    start = f"{LAUNCHER}=".encode()
    own = (one for one in environment.split(b"\0") if one.startswith(start))
    return next(own, start).removeprefix(start).decode()


def _lives(mark: str) -> bool:
    pid, _, started = mark.partition(" ")
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    """When a process was started, in ticks since the system was; empty when it is gone."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    # After the name, which is in brackets and may hold anything: state, parent, ... (proc(5)).
    state, *values = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else values[18]
