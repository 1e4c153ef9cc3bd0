"""Memory while a bench runs: the peak of this process, and what a group of processes holds (Linux).

What a command costs from its start to its end is measured by ``benchmarks.process_tree``.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
_CLEAR_PEAK = _PROC / "self" / "clear_refs"


def peak_mb() -> float:
    """Peak memory of this process in MB, where the system tells it, else nan."""
    return _status_mb("self", "VmHWM") if (_PROC / "self" / "status").exists() else float("nan")


def reset_peak_mb() -> float:
    """Let the peak start again from what is in use now, and answer that."""
    if _CLEAR_PEAK.exists():
        _CLEAR_PEAK.write_text("5")
    return peak_mb()


def group_mb(group: int) -> float:
    """Memory in MB of all processes of a process group; what they share counts for each."""
    numbers = [entry.name for entry in _PROC.glob("[0-9]*")]
    return sum(_status_mb(pid, "VmRSS") for pid in numbers if _group(pid) == group)


def _group(pid: str) -> int:
    """The group of a process; 0 when the process is gone."""
    try:
        return os.getpgid(int(pid))
    except ProcessLookupError:
        return 0


def _status_mb(pid: str, name: str) -> float:
    """A figure of a process in MB; 0 for one that is gone."""
    try:
        lines = (_PROC / pid / "status").read_text().splitlines()
    except OSError:
        return 0.0
    found = [line for line in lines if line.startswith(f"{name}:")]
    return int(found[0].split()[1]) / 1000 if found else 0.0
