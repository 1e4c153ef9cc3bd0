"""When a failed request is worth another, and how long to wait before it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from crawlers.causes import Cause

_TRIED_AGAIN = frozenset(
    {Cause.UNKNOWN_HOST, Cause.TIMEOUT, Cause.CONNECTION_FAILED, Cause.TRUNCATED}
)
# Not implemented, and HTTP version not supported: it will not be otherwise in a minute.
_FINAL_SERVER_ERRORS = frozenset({501, 505})
_FIRST_BACKOFF_S = 0.5
_LONGEST_BACKOFF_S = 30.0


def may_pass(status: int | None, cause: Cause | None) -> bool:
    """Say whether the same request may do better later."""
    if cause is not None:
        return cause in _TRIED_AGAIN
    return status == 429 or is_server_error(status)


def is_server_error(status: int | None) -> bool:
    """Say whether a status means that the server failed, for now."""
    return status is not None and status >= 500 and status not in _FINAL_SERVER_ERRORS


def backoff_s(attempt: int, jitter: float) -> float:
    """Return the seconds before the attempt after ``attempt`` (from 0); ``jitter`` in [0, 1).

    Exponential backoff with full jitter: Brooker, "Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015.
    """
    return jitter * min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2.0 ** min(attempt, 30))


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, null without a usable one.

    Both forms are read, seconds and an HTTP date (RFC 9110, 10.2.3).
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 10 else math.inf
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())
