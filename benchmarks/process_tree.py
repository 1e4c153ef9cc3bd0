"""What a command costs with all its child processes: time, processor time, memory (Linux)."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from facedata.errors import RequestError

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds on the wall and of all processors, and the most memory at once in MB."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run_measured(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Spent:
    """Run a command to its end; what it says goes to ``log``.

    Raises:
        RequestError: when it fails; the message has the end of its log.
    """
    started = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env=dict(environment), stdout=stream, stderr=stream, stdin=subprocess.DEVNULL
        )
        with sampled_mb(process.pid, every_s=0.25) as memory:
            _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        said = log.read_text("utf-8", "replace")[-500:]
        raise RequestError(f"{command[0]} ended with exit code {process.returncode}: {said}")
    return Spent(
        wall_s=time.perf_counter() - started,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=max(memory, default=0.0),
    )


@contextmanager
def sampled_mb(pid: int, every_s: float) -> Iterator[list[float]]:
    """Note the memory of a process and all below it, in MB, until the context is left."""
    samples: list[float] = []
    is_over = threading.Event()

    def sample() -> None:
        while not is_over.wait(every_s):
            samples.append(sum(map(_held_mb, descendants(pid))))

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield samples
    finally:
        is_over.set()
        sampler.join()


def descendants(pid: int) -> list[int]:
    """A process and all below it that are alive, it first."""
    found = [pid]
    for one in found:
        for children in (_PROC / str(one)).glob("task/*/children"):
            with suppress(OSError):
                found.extend(int(child) for child in children.read_text().split())
    return found


def _held_mb(pid: int) -> float:
    """Memory of a process; what it shares counts in part (PSS). 0 for one that is gone."""
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    found = [line for line in lines if line.startswith("Pss:")]
    return int(found[0].split()[1]) / 1000 if found else 0.0
