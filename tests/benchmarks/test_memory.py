"""The peak of this process, and what a group of others holds, against data of a known size."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

from benchmarks.memory import group_mb, peak_mb, reset_peak_mb

SIZE = 80_000_000
CHILD_HOLDS = f"""
import subprocess, sys
held = "data = bytearray(b'x') * {SIZE}; print('held', flush=True); input()"
subprocess.run([sys.executable, "-c", held])
"""


def test_the_peak_outlives_what_made_it_and_starts_again() -> None:
    before = reset_peak_mb()
    data = bytearray(b"x") * SIZE
    del data

    assert 70 < peak_mb() - before < 100
    assert reset_peak_mb() < before + 40


def test_the_children_of_a_group_count(wait_for: Callable[..., None]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD_HOLDS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as leader:
        assert leader.stdout is not None
        assert leader.stdout.readline() == b"held\n"
        held = group_mb(leader.pid)
        os.killpg(leader.pid, signal.SIGKILL)

    assert 70 < held < 200
    wait_for(lambda: group_mb(leader.pid) == 0.0, "the end of the whole group", 10)
