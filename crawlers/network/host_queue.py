"""The queue at one host: requests wait here, first come first served, for their turn."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass

from crawlers.causes import Cause
from crawlers.network.answer import FetchRules
from crawlers.network.pacing import HostPacing, PacingLimits, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """How one host stands, for progress.

    ``host`` is as in its URLs, with a port that is not the scheme's own. ``asked`` counts requests
    with robots.txt and retries, ``refusals`` what came to nothing, by cause. ``is_down`` says that
    it is given up, ``is_suspect`` that it is only probed. ``next_in_s`` are seconds until it may
    be asked again.
    """

    host: str
    asked: int
    refusals: dict[Cause, int]
    in_flight: int
    waiting: int
    delay_s: float
    concurrency: int
    is_suspect: bool
    is_down: bool
    next_in_s: float


class HostQueue:
    """Pacing of one host with the requests that wait for it."""

    __slots__ = ("_loop", "_rules", "_timer", "_waiting", "asked", "pacing", "refusals", "site")

    def __init__(self, site: str, rules: FetchRules, limits: PacingLimits) -> None:
        self.site = site
        self.pacing = HostPacing(limits, delay_s=rules.delay_s, concurrency=rules.concurrency)
        self.asked = 0
        self.refusals: Counter[Cause] = Counter()
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[Turn]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way or waits, and nothing need be remembered of the host."""
        pacing, now = self.pacing, self._loop.time()
        is_busy = bool(pacing.in_flight or self._waiting or pacing.is_suspect)
        return not is_busy and pacing.wait_s(now) <= 0

    def state(self) -> HostState:
        """Say how the host stands."""
        pacing = self.pacing
        return HostState(
            host=self.site,
            asked=self.asked,
            refusals=dict(self.refusals),
            in_flight=pacing.in_flight,
            waiting=len(self._waiting),
            delay_s=pacing.delay_s,
            concurrency=pacing.concurrency,
            is_suspect=pacing.is_suspect,
            is_down=pacing.is_given_up,
            next_in_s=max(0.0, pacing.wait_s(self._loop.time())),
        )

    def obey(self, rules: FetchRules) -> None:
        """Take over the rules of an ask where they are stricter."""
        if rules is not self._rules:
            self._rules = rules
            self.pacing.tighten(delay_s=rules.delay_s, concurrency=rules.concurrency)

    async def turn(self) -> Turn:
        """Wait for a turn: ``GO``, ``PROBE``, or that there will be none.

        After ``GO`` and ``PROBE`` one of the endings of ``pacing`` and then ``pump`` must be
        called, whatever happens.
        """
        if not self._waiting:
            turn = self.pacing.turn(self._loop.time())
            if turn is not Turn.WAIT:
                return turn
        future: asyncio.Future[Turn] = self._loop.create_future()
        self._waiting.append(future)
        self.pump()
        try:
            return await future
        except asyncio.CancelledError:
            self._give_back(future)
            raise

    def pump(self) -> None:
        """Let those go whose turn it is."""
        waiting, now = self._waiting, self._loop.time()
        while waiting:
            if waiting[0].done():  # It was cancelled.
                waiting.popleft()
                continue
            turn = self.pacing.turn(now)
            if turn is Turn.WAIT:
                self._wake_in(self.pacing.wait_s(now))
                return
            waiting.popleft().set_result(turn)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _wake_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds > 0:  # Else the end of a request calls ``pump``.
            self._timer = self._loop.call_later(seconds, self.pump)

    def _give_back(self, future: asyncio.Future[Turn]) -> None:
        """Free the turn of a request that was cancelled just after it got one."""
        if future.cancelled() or not future.done():
            return
        turn = future.result()
        if turn in (Turn.GO, Turn.PROBE):
            self.pacing.left(was_probe=turn is Turn.PROBE)
            self.pump()
