"""The time, as decisions and answers carry it."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> str:
    """Now: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
