"""What an origin's own files say: robots.txt and /.well-known/tdmrep.json, fetched when needed.

robots.txt as RFC 9309, 2.3.1: a missing file (4xx) forbids nothing, one that cannot be had
forbids all until it can be. Both files are asked for again after a day.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from crawlers.causes import Cause
from crawlers.network import robots, tdm
from crawlers.network.exchange import Reply
from crawlers.network.robots import RobotsRules
from crawlers.network.target import Authority, Refusal
from crawlers.network.tdm import TdmRules

_KEPT_S = 86_400.0
# How long a server that fails to give its robots.txt is not asked for it again.
_FORBIDDEN_S = 60.0
_MOST_ORIGINS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReply:
    """What came of one of the files: status and body, or the refusal.

    ``is_of_origin`` is false when a redirect led elsewhere.
    """

    reply: Reply
    is_of_origin: bool = True


GetFile = Callable[[str, int], Awaitable[FileReply]]
"""Fetches a path of the origin, redirects followed: path and size at which it is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRules:
    """The rules of one origin, or why there are none and nothing may be asked for."""

    expires_at: float
    robots: RobotsRules = field(default_factory=RobotsRules)
    tdm: TdmRules = field(default_factory=TdmRules)
    unavailable: Refusal | None = None

    def refusal(self, path: str) -> Refusal | None:
        """Return why a path with query may not be asked for, null when it may."""
        if self.unavailable is not None:
            return self.unavailable
        if not self.robots.allows(path):
            return Refusal(cause=Cause.ROBOTS_FORBIDDEN)
        return self.tdm.refusal(path)


class SiteRulesCache:
    """The rules of all origins in use; those who wait for the same file share one request.

    ``clock`` gives seconds and only goes forward.
    """

    def __init__(self, robots_name: str, clock: Callable[[], float]) -> None:
        self._robots_name = robots_name
        self._clock = clock
        self._known: OrderedDict[tuple[str, bool], SiteRules] = OrderedDict()
        self._loading: dict[tuple[str, bool], asyncio.Task[SiteRules]] = {}

    def known(self, authority: Authority, may_be_private: bool) -> SiteRules | None:
        """Return the rules of an origin when they are known and still hold."""
        rules = self._known.get((authority.origin, may_be_private))
        return rules if rules is not None and self._clock() < rules.expires_at else None

    async def load(self, authority: Authority, may_be_private: bool, get: GetFile) -> SiteRules:
        """Return the rules of an origin, fetched by ``get`` unless someone else is at it."""
        key = (authority.origin, may_be_private)
        task = self._loading.get(key)
        if task is None:
            task = asyncio.create_task(self._load(key, get))
            self._loading[key] = task
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is being loaded."""
        tasks = list(self._loading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _load(self, key: tuple[str, bool], get: GetFile) -> SiteRules:
        rules = await self._fetched(self._known.get(key), get)
        self._known[key] = rules
        self._known.move_to_end(key)
        if len(self._known) > _MOST_ORIGINS:
            self._known.popitem(last=False)
        return rules

    async def _fetched(self, earlier: SiteRules | None, get: GetFile) -> SiteRules:
        found = await get(robots.PATH, robots.MAX_BYTES)
        file_or_refusal = self._robots_of(found)
        now = self._clock()
        if isinstance(file_or_refusal, Refusal):
            if earlier is not None and earlier.unavailable is None:
                # RFC 9309, 2.4: rules that cannot be had anew go on.
                return SiteRules(
                    expires_at=now + _FORBIDDEN_S, robots=earlier.robots, tdm=earlier.tdm
                )
            expires_at = now + _FORBIDDEN_S if file_or_refusal.cause in _KEPT else now
            return SiteRules(expires_at=expires_at, unavailable=file_or_refusal)
        tdm_rules = TdmRules()
        if file_or_refusal.allows(tdm.WELL_KNOWN):
            reply = (await get(tdm.WELL_KNOWN, tdm.MAX_BYTES)).reply
            if reply.status == 200 and reply.refusal is None:
                tdm_rules = tdm.parse_tdm_rules(reply.body)
        return SiteRules(expires_at=now + _KEPT_S, robots=file_or_refusal, tdm=tdm_rules)

    def _robots_of(self, found: FileReply) -> RobotsRules | Refusal:
        status, refusal = found.reply.status, found.reply.refusal
        if refusal is not None and refusal.cause in _NO_FILE:
            return RobotsRules()
        if refusal is not None:
            cause = refusal.cause if found.is_of_origin and status is None else _FORBIDDEN
            return Refusal(cause=cause, detail=f"robots.txt: {refusal.detail or refusal.cause}")
        if status is not None and 200 <= status < 300:
            return RobotsRules.parse(found.reply.body, self._robots_name)
        if status is not None and 400 <= status < 500 and status != 429:
            return RobotsRules()
        return Refusal(cause=_FORBIDDEN, detail=f"robots.txt answered {status}")


# A host that cannot be reached is asked again at once: its circuit breaker keeps count.
_KEPT = frozenset({Cause.ROBOTS_FORBIDDEN, Cause.PRIVATE_ADDRESS})
_FORBIDDEN = Cause.ROBOTS_FORBIDDEN
# RFC 9309, 2.3.1.2: after five redirects it may count as missing.
_NO_FILE = frozenset({Cause.TOO_MANY_REDIRECTS, Cause.BAD_REDIRECT})
