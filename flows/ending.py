"""How training ended: as ``outcome.json`` says, which ``training.run`` writes, or as it looks."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.run_state import OUTCOME

_LAST_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """``outcome`` is ``done``, ``stopped``, ``failed`` or ``killed``; the latter wrote nothing.

    ``passing`` says whether starting again may end otherwise.
    """

    outcome: str
    reason: str
    exit_code: int
    passing: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run's ``outcome.json`` as it is now, to tell later whether there is a new one."""

    path: Path
    stamp: tuple[int, int] | None

    @classmethod
    def of(cls, output: Path) -> Outcome:
        """That of the run in a folder."""
        path = output / OUTCOME
        return cls(path=path, stamp=_stamp(path))

    def news(self) -> Ended | None:
        """What was written since; None when nothing was, or it was removed."""
        stamp = _stamp(self.path)
        if stamp is None or stamp == self.stamp:
            return None
        return read_outcome(self.path.parent)


def read_outcome(output: Path) -> Ended | None:
    """How the last start of the run in a folder ended; None when it is at work, or was killed."""
    try:
        said: dict[str, Any] = json.loads((output / OUTCOME).read_text("utf-8"))
    except FileNotFoundError:
        return None
    return Ended(
        outcome=said["outcome"],
        reason=said["message"],
        exit_code=int(said["exit_code"]),
        passing=bool(said.get("passing", True)),
    )


def describe_death(code: int, output: str) -> str:
    """Why torchrun ended without an outcome, as its exit code and what it printed tell."""
    own = [line.strip() for line in output.splitlines() if line.strip()]
    killed = next((line for line in own if "Signal " in line and "received by PID" in line), None)
    if killed is not None:
        return f"a process was killed ({killed.split('Signal ', 1)[1]:.100})"
    if code < 0:
        return f"torchrun was killed by {signal.Signals(-code).name}"
    last = " | ".join(own[-_LAST_LINES:])
    return f"torchrun ended with code {code}: {last[-400:]}"


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino
