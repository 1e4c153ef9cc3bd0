"""What a command costs, its children included."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.process_tree import run_measured
from facedata.errors import RequestError

HOLD = """
import subprocess, sys
held = "import time; data = bytearray(b'x') * 80_000_000; time.sleep(1)"
subprocess.run([sys.executable, "-c", held], check=True)
"""


def test_memory_and_time_of_a_child_count(tmp_path: Path) -> None:
    spent = run_measured([sys.executable, "-c", HOLD], os.environ, tmp_path / "log")

    assert 80 < spent.peak_mb < 200
    assert spent.wall_s > 1
    assert 0 < spent.cpu_s < spent.wall_s


def test_a_command_that_fails_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit('no more room')"]
    with pytest.raises(RequestError, match=r"exit code 1: no more room"):
        run_measured(failing, os.environ, tmp_path / "log")
