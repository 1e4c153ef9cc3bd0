from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.network.breaker import BreakerLimits
from crawlers.network.pacing import HostPacing, PacingLimits, Turn

_LIMITS = PacingLimits(breaker=BreakerLimits(failures=3, pauses_s=(1.0, 5.0), given_up_s=60.0))


def _pacing(delay_s: float = 0.0, concurrency: int = 4) -> HostPacing:
    return HostPacing(_LIMITS, delay_s=delay_s, concurrency=concurrency)


def test_no_more_at_once_than_allowed() -> None:
    pacing = _pacing(concurrency=2)
    assert [pacing.turn(0.0) for _ in range(3)] == [Turn.GO, Turn.GO, Turn.WAIT]
    assert pacing.wait_s(0.0) <= 0
    pacing.answered(0.001)
    assert pacing.turn(0.0) is Turn.GO


def test_the_largest_delay_counts() -> None:
    pacing = _pacing(delay_s=0.5)
    assert pacing.turn(10.0) is Turn.GO
    assert pacing.turn(10.4) is Turn.WAIT
    assert pacing.wait_s(10.4) == pytest.approx(0.1)
    pacing.set_crawl_delay(2.0)
    assert pacing.delay_s == 2.0
    pacing.tighten(delay_s=3.0, concurrency=1)
    pacing.tighten(delay_s=0.1, concurrency=9)
    assert (pacing.delay_s, pacing.concurrency) == (3.0, 1)


def _answer(pacing: HostPacing, latencies_s: list[float], now: float = 0.0) -> None:
    for number, latency_s in enumerate(latencies_s):
        assert pacing.turn(now + 100.0 * number) is Turn.GO
        pacing.answered(latency_s)


def test_slow_answers_make_the_delay_longer_and_quick_ones_shorter() -> None:
    pacing = _pacing(concurrency=4)
    _answer(pacing, [2.0] * 15)
    assert pacing.delay_s == 0.5
    _answer(pacing, [1000.0] * 15, now=1e5)
    assert pacing.delay_s == 60.0
    _answer(pacing, [0.01] * 15, now=2e5)
    assert pacing.delay_s == 0.0


def test_a_slow_file_is_not_a_slow_host() -> None:
    pacing = _pacing(concurrency=4)
    _answer(pacing, [0.02, 0.02, 0.02, 0.02, 30.0] * 10)
    assert pacing.delay_s == 0.0


def test_time_outs_are_slow_and_refused_connections_are_not_quick() -> None:
    pacing = _pacing(concurrency=1)
    for now in range(2):
        assert pacing.turn(100.0 * now) is Turn.GO
        pacing.failed(100.0 * now, 30.0, was_probe=False)
    assert pacing.delay_s == 30.0
    assert pacing.turn(300.0) is Turn.GO
    pacing.failed(300.0, 0.001, was_probe=False)
    assert pacing.delay_s == 30.0


def test_a_429_pauses_the_host_and_halves_its_concurrency_once_per_burst() -> None:
    pacing = _pacing(concurrency=8)
    assert [pacing.turn(0.0) for _ in range(8)] == [Turn.GO] * 8
    for _ in range(8):
        pacing.told_to_wait(0.0, 10.0)
    assert pacing.concurrency == 4
    assert (pacing.turn(9.9), pacing.turn(10.0)) == (Turn.WAIT, Turn.GO)
    pacing.told_to_wait(10.0, 10.0)
    assert pacing.concurrency == 2


def test_concurrency_recovers_slowly() -> None:
    pacing = _pacing(concurrency=4)
    assert pacing.turn(0.0) is Turn.GO
    pacing.told_to_wait(0.0, 1.0)
    found = []
    for now in range(10, 27):
        assert pacing.turn(float(now)) is Turn.GO
        pacing.answered(0.0)
        found.append(pacing.concurrency)
    assert found == [2] * 7 + [3] * 8 + [4] * 2


def test_pauses_without_retry_after_grow_and_end_in_being_shut_out() -> None:
    pacing, now, pauses = _pacing(), 0.0, []
    while pacing.turn(now) is Turn.GO:
        pacing.told_to_wait(now, None)
        if pacing.turn(now) is Turn.SHUT_OUT:
            break
        pauses.append(pacing.wait_s(now))
        now += pauses[-1]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert [pacing.turn(now + 59.9), pacing.turn(now + 60.0)] == [Turn.SHUT_OUT, Turn.GO]


def test_a_retry_after_beyond_all_patience_shuts_out_until_then() -> None:
    pacing = _pacing()
    assert pacing.turn(0.0) is Turn.GO
    pacing.told_to_wait(0.0, 7200.0)
    assert (pacing.turn(7199.0), pacing.turn(7200.0)) == (Turn.SHUT_OUT, Turn.GO)
    pacing.told_to_wait(7200.0, math.inf)
    assert pacing.turn(1e12) is Turn.SHUT_OUT


def test_a_host_that_fails_is_probed_and_given_up() -> None:
    pacing = _pacing()
    for _ in range(3):
        assert pacing.turn(0.0) is Turn.GO
        pacing.failed(0.0, 0.0, was_probe=False)
    assert pacing.turn(0.5) is Turn.WAIT
    assert pacing.wait_s(0.5) == 0.5
    assert [pacing.turn(1.0), pacing.turn(1.0)] == [Turn.PROBE, Turn.WAIT]
    pacing.failed(1.0, 0.0, was_probe=True)
    assert pacing.turn(6.0) is Turn.PROBE
    pacing.failed(6.0, 0.0, was_probe=True)
    assert pacing.is_given_up
    assert pacing.turn(7.0) is Turn.GIVEN_UP
    assert [pacing.turn(66.0), pacing.turn(66.0)] == [Turn.PROBE, Turn.GIVEN_UP]
    pacing.answered(0.0)
    assert pacing.turn(66.0) is Turn.GO


@dataclass
class _Host:
    """A host under a driver that asks whenever it may, and what the driver knows of it."""

    pacing: HostPacing
    now: float = 0.0
    under_way: list[bool] = field(default_factory=list)
    not_before: float = 0.0
    went_at: list[float] = field(default_factory=list)

    def ask(self) -> None:
        turn = self.pacing.turn(self.now)
        if turn in (Turn.GO, Turn.PROBE):
            assert self.now >= self.not_before
            self.under_way.append(turn is Turn.PROBE)
            self.went_at.append(self.now)
        elif turn is Turn.WAIT:
            # Either time passes or a request ends: nobody waits for ever.
            assert self.pacing.wait_s(self.now) > 0 or self.under_way

    def end(self, how: int, seconds: float) -> None:
        if not self.under_way:
            return
        was_probe = self.under_way.pop(0)
        if how == 0:
            self.pacing.answered(seconds)
        elif how == 1:
            self.pacing.failed(self.now, seconds, was_probe=was_probe)
        elif how == 2:
            self.pacing.left(was_probe=was_probe)
        else:
            self.pacing.told_to_wait(self.now, seconds)
            self.not_before = max(self.not_before, self.now + seconds)


_STEPS = st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), max_size=200)


@given(_STEPS, st.integers(1, 6), st.sampled_from([0.0, 0.5, 3.0]))
def test_whatever_happens_the_rules_hold(
    steps: list[tuple[int, float]], concurrency: int, delay_s: float
) -> None:
    host = _Host(_pacing(delay_s=delay_s, concurrency=concurrency))
    for kind, seconds in steps:
        if kind <= 3:
            host.end(kind, seconds)
        elif kind == 4:
            host.now += seconds
        host.ask()
        assert host.pacing.in_flight == len(host.under_way) <= concurrency
        assert sum(host.under_way) <= 1
        assert delay_s <= host.pacing.delay_s <= max(60.0, delay_s)
    gaps = [b - a for a, b in pairwise(host.went_at)]
    assert all(gap >= delay_s - 1e-9 for gap in gaps)
