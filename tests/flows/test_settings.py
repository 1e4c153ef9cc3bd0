"""Prefect says nothing between the command's own lines."""

from __future__ import annotations

import os
import subprocess
import sys

SAY = """
from flows.settings import silence_prefect
silence_prefect()
import prefect, logging
for worker in ("EventsWorker", "APILogWorker"):
    logging.getLogger(worker).warning("Still processing items: 7 items remaining...")
"""


def said(**environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "PREFECT_LOGGING_LEVEL"}
    command = [sys.executable, "-c", SAY]
    done = subprocess.run(
        command, env=kept | environment, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout + done.stderr


def test_workers_that_are_not_done_yet_are_quiet() -> None:
    assert said() == ""


def test_explicit_settings_win() -> None:
    assert said(PREFECT_LOGGING_LEVEL="warning").count("7 items remaining") == 2
