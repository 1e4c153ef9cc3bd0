from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.network.breaker import Breaker, BreakerLimits, Gate

_LIMITS = BreakerLimits(failures=3, pauses_s=(1.0, 5.0), given_up_s=60.0, longest_s=200.0)


def _suspect() -> Breaker:
    breaker = Breaker(_LIMITS)
    for _ in range(3):
        breaker.failed(10.0, was_probe=False)
    return breaker


def test_failures_in_a_row_make_a_host_suspect() -> None:
    breaker = Breaker(_LIMITS)
    for _ in range(2):
        breaker.failed(10.0, was_probe=False)
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(10.0, was_probe=False)
    assert breaker.gate(10.0) is Gate.OPEN
    breaker.failed(10.0, was_probe=False)
    assert breaker.gate(10.5) is Gate.SHUT
    assert breaker.until == 11.0


def test_one_probe_at_a_time() -> None:
    breaker = _suspect()
    assert breaker.gate(11.0) is Gate.PROBE
    assert breaker.gate(11.0) is Gate.SHUT
    breaker.undecided(was_probe=True)
    assert breaker.gate(11.0) is Gate.PROBE
    breaker.succeeded()
    assert breaker.gate(11.0) is Gate.OPEN


def test_probes_that_fail_lead_to_giving_up() -> None:
    breaker = _suspect()
    now, untils = 10.0, []
    for _ in range(5):
        assert breaker.until is not None
        now = breaker.until
        assert breaker.gate(now) is Gate.PROBE
        breaker.failed(now, was_probe=True)
        untils.append((breaker.until - now, breaker.is_given_up))
    assert untils == [(5.0, False), (60.0, True), (120.0, True), (200.0, True), (200.0, True)]
    breaker.succeeded()
    assert not breaker.is_given_up


def test_failures_of_requests_from_before_do_not_count_twice() -> None:
    breaker = _suspect()
    for _ in range(20):
        breaker.failed(10.1, was_probe=False)
    assert breaker.until == 11.0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100))))
def test_it_never_stays_shut_for_ever(events: list[tuple[bool, float]]) -> None:
    breaker, now = Breaker(_LIMITS), 0.0
    for is_success, pause_s in events:
        now += pause_s
        gate = breaker.gate(now)
        if gate is Gate.SHUT:
            continue
        if is_success:
            breaker.succeeded()
        else:
            breaker.failed(now, was_probe=gate is Gate.PROBE)
    assert breaker.gate(now + _LIMITS.longest_s) in (Gate.OPEN, Gate.PROBE)
    assert breaker.until is None or breaker.until <= now + _LIMITS.longest_s


def test_the_defaults_give_up_within_a_minute_of_pauses() -> None:
    assert sum(BreakerLimits().pauses_s) == pytest.approx(31.0)
