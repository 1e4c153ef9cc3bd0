from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.causes import Cause
from crawlers.network.retry import backoff_s, may_pass, retry_after_s

_NOW = datetime(2022, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 522])
def test_statuses_that_may_pass(status: int) -> None:
    assert may_pass(status, None)


@pytest.mark.parametrize("status", [200, 304, 400, 403, 404, 410, 451, 501, 505])
def test_statuses_that_stay(status: int) -> None:
    assert not may_pass(status, None)


@pytest.mark.parametrize("cause", list(Cause))
def test_causes(cause: Cause) -> None:
    passing = {Cause.UNKNOWN_HOST, Cause.TIMEOUT, Cause.CONNECTION_FAILED, Cause.TRUNCATED}
    assert may_pass(None, cause) == (cause in passing)


@given(st.integers(0, 2000), st.floats(0, 1, exclude_max=True))
def test_backoff_grows_and_is_bounded(attempt: int, jitter: float) -> None:
    assert 0 <= backoff_s(attempt, jitter) <= 30
    assert backoff_s(attempt, jitter) <= backoff_s(attempt + 1, jitter)


def test_backoff_is_spread_over_its_whole_range() -> None:
    assert [backoff_s(2, jitter) for jitter in (0.0, 0.5, 0.75)] == [0.0, 1.0, 1.5]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("9" * 40, math.inf),
        ("Sat, 01 Jan 2022 12:00:30 GMT", 30.0),
        ("Sat, 01 Jan 2022 11:00:00 GMT", 0.0),
        ("Saturday, 01-Jan-22 12:00:30 GMT", 30.0),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, _NOW) == seconds


@given(st.text(st.characters(codec="utf-8")))
def test_any_retry_after_is_read_or_left(value: str) -> None:
    seconds = retry_after_s(value, _NOW)
    assert seconds is None or seconds >= 0
