"""When one host may be asked: delay, concurrency, autothrottle, 429 and the circuit breaker.

Pure: time goes in (seconds on any clock that only goes forward), a decision comes out.

The delay follows the host's answers as Scrapy's AutoThrottle does: latency divided by the target
concurrency. The latency is the median of the last answers, so that one slow file is not taken for
a slow host.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from crawlers.network.breaker import Breaker, BreakerLimits, Gate

_LATENCIES = 15
_SLOTS_PER_ANSWER = 0.125


class Turn(Enum):
    """Whether a request may go now."""

    GO = auto()
    PROBE = auto()
    """It may go, and the host's fate hangs on it."""
    WAIT = auto()
    """After ``HostPacing.wait_s``, or when a request under way ends."""
    GIVEN_UP = auto()
    """The host failed so often that it is no longer asked."""
    SHUT_OUT = auto()
    """The host asked to be left alone for longer than anyone would wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacingLimits:
    """Bounds of what a host can bring about; times in seconds.

    A delay from latency is at most ``longest_delay_s``; one below ``shortest_delay_s`` is none,
    for the limit on concurrency spaces such requests already. A Retry-After of more than
    ``longest_wait_s`` is not waited for. After a 429 without Retry-After the pause is
    ``first_pause_s``, doubled with each further one up to ``longest_delay_s``; after more than
    ``pauses`` of them without an answer in between the host is not asked for a longer time.
    """

    longest_delay_s: float = 60.0
    shortest_delay_s: float = 0.02
    longest_wait_s: float = 3600.0
    first_pause_s: float = 1.0
    pauses: int = 8
    breaker: BreakerLimits = field(default_factory=BreakerLimits)


class HostPacing:
    """The state of one host. Every ``GO`` or ``PROBE`` must be followed by one of the endings."""

    __slots__ = (
        "_breaker",
        "_by_age",
        "_by_size",
        "_concurrency",
        "_crawl_delay_s",
        "_delay_s",
        "_limits",
        "_next_at",
        "_pause_until",
        "_pauses",
        "_shut_out_until",
        "_slots",
        "in_flight",
    )

    def __init__(self, limits: PacingLimits, *, delay_s: float, concurrency: int) -> None:
        self._limits = limits
        self._breaker = Breaker(limits.breaker)
        self._delay_s, self._crawl_delay_s = delay_s, 0.0
        self._concurrency, self._slots = concurrency, float(concurrency)
        self._next_at = self._pause_until = self._shut_out_until = 0.0
        self._pauses = 0
        self._by_age: deque[float] = deque()
        self._by_size: list[float] = []
        self.in_flight = 0

    @property
    def is_given_up(self) -> bool:
        """Whether the breaker has given the host up."""
        return self._breaker.is_given_up

    @property
    def is_suspect(self) -> bool:
        """Whether the host failed so often in a row that it is only probed."""
        return self._breaker.until is not None

    @property
    def concurrency(self) -> int:
        """How many requests may be under way now."""
        return int(self._slots)

    @property
    def delay_s(self) -> float:
        """The least time between two requests now."""
        throttled = self._median_s() / self._concurrency
        if throttled < self._limits.shortest_delay_s:
            throttled = 0.0
        throttled = min(throttled, self._limits.longest_delay_s)
        return max(self._delay_s, self._crawl_delay_s, throttled)

    def tighten(self, *, delay_s: float, concurrency: int) -> None:
        """Take over the rules of another site at this host where they are stricter."""
        self._delay_s = max(self._delay_s, delay_s)
        self._concurrency = min(self._concurrency, concurrency)
        self._slots = min(self._slots, float(self._concurrency))

    def set_crawl_delay(self, seconds: float) -> None:
        """Keep the delay that the host's robots.txt asks for."""
        self._crawl_delay_s = max(self._crawl_delay_s, seconds)

    def turn(self, now: float) -> Turn:
        """Decide about one request, which begins with ``GO`` and ``PROBE``."""
        if now < self._shut_out_until:
            return Turn.SHUT_OUT
        breaker = self._breaker
        no = Turn.GIVEN_UP if breaker.is_given_up else Turn.WAIT
        if now < self._next_at or self.in_flight >= int(self._slots):
            return no
        gate = breaker.gate(now)
        if gate is Gate.SHUT:
            return no
        self.in_flight += 1
        self._next_at = now + self.delay_s
        return Turn.GO if gate is Gate.OPEN else Turn.PROBE

    def wait_s(self, now: float) -> float:
        """Return the seconds in which nothing may go, after ``WAIT``.

        Not more than 0 means that a request under way must end first.
        """
        return max(self._next_at, self._breaker.until or 0.0) - now

    def answered(self, latency_s: float) -> None:
        """Note an answer that speaks for the host, whatever its status."""
        self.in_flight -= 1
        self._breaker.succeeded()
        self._pauses = 0
        self._note_latency(latency_s)
        if self._slots < self._concurrency:
            self._slots = min(float(self._concurrency), self._slots + _SLOTS_PER_ANSWER)

    def failed(self, now: float, latency_s: float, *, was_probe: bool) -> None:
        """Note a lost connection, a time-out or a server error."""
        self.in_flight -= 1
        self._breaker.failed(now, was_probe=was_probe)
        # A quick failure says nothing about how fast the host works.
        if latency_s > self._median_s():
            self._note_latency(latency_s)

    def told_to_wait(self, now: float, retry_after_s: float | None) -> None:
        """Note a 429: the host is left alone, and fewer requests may be under way afterwards."""
        self.in_flight -= 1
        self._breaker.succeeded()
        if now >= self._pause_until:
            self._slots = max(1.0, float(int(self._slots) // 2))
            self._pauses += 1
        limits = self._limits
        if self._pauses > limits.pauses:
            self._shut_out_until = now + limits.breaker.given_up_s
        if retry_after_s is None:
            pause_s = limits.first_pause_s * 2.0 ** min(self._pauses - 1, 30)
            retry_after_s = min(limits.longest_delay_s, pause_s)
        self.rest(now, retry_after_s)
        self._pause_until = max(self._pause_until, now + retry_after_s)

    def rest(self, now: float, seconds: float) -> None:
        """Leave the host alone for so long, as it asked."""
        if seconds > self._limits.longest_wait_s:
            self._shut_out_until = max(self._shut_out_until, now + seconds)
        else:
            self._next_at = max(self._next_at, now + seconds)

    def left(self, *, was_probe: bool) -> None:
        """Note a request that ended without a word about the host, such as a cancelled one."""
        self.in_flight -= 1
        self._breaker.undecided(was_probe=was_probe)

    def _median_s(self) -> float:
        ordered = self._by_size
        return ordered[len(ordered) // 2] if ordered else 0.0

    def _note_latency(self, seconds: float) -> None:
        if len(self._by_age) == _LATENCIES:
            oldest = self._by_age.popleft()
            del self._by_size[bisect_left(self._by_size, oldest)]
        self._by_age.append(seconds)
        insort(self._by_size, seconds)
