"""One URL asked for politely: a turn at its host for each attempt, and what the host learns."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from crawlers.causes import Cause
from crawlers.network.answer import FetchRules
from crawlers.network.connections import Connections
from crawlers.network.exchange import Judge, Reply, Request, exchange
from crawlers.network.host_queue import HostQueue, HostState
from crawlers.network.outage import Outage
from crawlers.network.pacing import PacingLimits, Turn
from crawlers.network.retry import backoff_s, is_server_error, may_pass, retry_after_s
from crawlers.network.target import Refusal

_MOST_HOSTS = 10_000
# Without a status these say that the host fails; others say nothing about it.
_HOST_FAILS = frozenset({Cause.TIMEOUT, Cause.CONNECTION_FAILED, Cause.UNKNOWN_HOST})
_NO_TURN = {
    Turn.GIVEN_UP: Refusal(cause=Cause.HOST_DOWN, detail="failed too often in a row"),
    Turn.SHUT_OUT: Refusal(cause=Cause.RATE_LIMITED, detail="the host asked not to come again yet"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One URL to ask for, by the rules of a site; ``site`` is the host as pacing knows it."""

    site: str
    rules: FetchRules
    may_be_private: bool
    request: Request
    judge: Judge
    crawl_delay_s: float = 0.0


class Door:
    """All hosts with their queues, over shared connections."""

    def __init__(
        self,
        connections: Connections,
        limits: PacingLimits,
        outage: Outage,
        jitter: Callable[[], float],
    ) -> None:
        self._connections = connections
        self._limits = limits
        self._outage = outage
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        self._queues: OrderedDict[str, HostQueue] = OrderedDict()
        self._sockets = asyncio.Semaphore(connections.most)

    def hosts(self) -> list[HostState]:
        """Say how each host stands that was asked lately."""
        return [queue.state() for queue in self._queues.values()]

    def queue(self, site: str, rules: FetchRules) -> HostQueue:
        """Return the queue of a host, kept by the strictest rules it was asked under."""
        queue = self._queues.get(site)
        if queue is None:
            self._forget_idle()
            queue = self._queues[site] = HostQueue(site, rules, self._limits)
        queue.obey(rules)
        return queue

    async def get(self, visit: Visit) -> Reply:
        """Ask until there is an answer, or a failure that will not pass, or retries are used up."""
        queue = self.queue(visit.site, visit.rules)
        queue.pacing.set_crawl_delay(visit.crawl_delay_s)
        reply: Reply | None = None
        for attempt in range(visit.rules.retries + 1):
            if attempt:
                await asyncio.sleep(backoff_s(attempt - 1, self._jitter()))
            turn = await queue.turn()
            if turn in _NO_TURN:
                return reply or Reply(refusal=_NO_TURN[turn])
            reply = await self._attempt(queue, visit, was_probe=turn is Turn.PROBE)
            if not may_pass(reply.status, reply.cause):
                break
        return reply or Reply()

    def close(self) -> None:
        """Stop all timers."""
        for queue in self._queues.values():
            queue.close()

    async def _attempt(self, queue: HostQueue, visit: Visit, *, was_probe: bool) -> Reply:
        started, reply = self._loop.time(), None
        queue.asked += 1
        try:
            session = self._connections.session(may_be_private=visit.may_be_private)
            async with self._sockets:
                while reply is None:
                    await self._wait_for_network()
                    started = self._loop.time()
                    reply = await exchange(session, visit.request, visit.judge)
                    reply = self._unless_out(visit.site, reply)
            return reply
        finally:
            self._note_end(queue, reply, started, was_probe=was_probe)

    async def _wait_for_network(self) -> None:
        while (pause_s := self._outage.wait_s(self._loop.time())) > 0:
            await asyncio.sleep(pause_s)

    def _unless_out(self, site: str, reply: Reply) -> Reply | None:
        """Return a reply; null when it only says that our own network is out."""
        now = self._loop.time()
        if reply.status is not None:
            self._outage.answered(site, now)
        elif reply.is_unreached and self._outage.unreachable(site, now):
            return None
        return reply

    def _note_end(
        self, queue: HostQueue, reply: Reply | None, started: float, *, was_probe: bool
    ) -> None:
        """Tell the host's pacing how a request ended; ``reply`` is null when it was cancelled."""
        pacing, now = queue.pacing, self._loop.time()
        status = reply.status if reply is not None else None
        cause = reply.cause if reply is not None else None
        if reply is None or (status is None and cause not in _HOST_FAILS):
            pacing.left(was_probe=was_probe)
        elif status == 429:
            pacing.told_to_wait(now, _retry_after_s(reply))
        elif status is None or is_server_error(status):
            pacing.failed(now, now - started, was_probe=was_probe)
            pacing.rest(now, _retry_after_s(reply) or 0.0)
        else:
            pacing.answered(now - started)
        queue.pump()

    def _forget_idle(self) -> None:
        """Make room for another host by forgetting the one that was met first and is idle."""
        if len(self._queues) < _MOST_HOSTS:
            return
        for site, queue in self._queues.items():
            if queue.is_idle:
                del self._queues[site]
                return


def _retry_after_s(reply: Reply) -> float | None:
    return retry_after_s(reply.headers.get("Retry-After"), datetime.now(UTC))
