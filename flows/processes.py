"""Ending processes for good: a child with all it started, and what a dead command left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_ASK_AGAIN_SECONDS = 0.2
_LEAVE_SECONDS = 60.0


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the group that ``process`` leads, and take in its exit code."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_leftovers(arguments: Sequence[str], say: Callable[[str], None]) -> None:
    """End this person's processes whose command line ends with ``arguments``.

    They are the children of a command that was killed. They are asked first, and killed a minute
    later. Where the system has no /proc nothing is found.
    """
    left = _running(arguments)
    if not left:
        return
    say(f"{len(left)} processes of an earlier start are still at work; stopping them")
    # The others are their children and hear of it from them.
    _send([pid for pid in left if _parent(pid) not in left], signal.SIGTERM)
    end = time.monotonic() + _LEAVE_SECONDS
    while (left := _running(arguments)) and time.monotonic() < end:
        time.sleep(_ASK_AGAIN_SECONDS)
    _send(left, signal.SIGKILL)


def _send(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _parent(pid: int) -> int:
    """The parent of a process; 0 when the process is gone."""
    try:
        # After the name, which is in brackets and may hold anything: state, parent.
        return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _running(arguments: Sequence[str]) -> list[int]:
    wanted = b"\0".join(argument.encode() for argument in ("-m", *arguments)) + b"\0"
    found = []
    for folder in _PROC.glob("[0-9]*"):
        try:
            own = folder.stat().st_uid == os.getuid()
            if own and (folder / "cmdline").read_bytes().endswith(wanted):
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or shows its command line to nobody
    return sorted(found)
