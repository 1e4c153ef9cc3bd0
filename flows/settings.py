"""Prefect's settings for the command line, set before Prefect is imported."""

from __future__ import annotations

import logging
import os


def silence_prefect() -> None:
    """No telemetry, and no Prefect log lines between the command's own; explicit settings win.

    Errors are reported once, by the command; Prefect would print a traceback for each.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    level = os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL").upper()
    # On a busy machine these say, by loggers outside Prefect's, that they are not done yet.
    for worker in ("EventsWorker", "APILogWorker"):
        logging.getLogger(worker).setLevel(level)
    os.environ.setdefault("PREFECT_LOGGING_SERVER_LEVEL", "CRITICAL")
    # The temporary server takes 7 to 10 s to start on an idle machine, longer on a busy one.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
