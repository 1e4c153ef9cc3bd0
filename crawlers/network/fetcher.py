"""The one door to the network: politeness, opt-outs and safety are enforced here and only here.

For each URL, and again for each redirect: scheme and host, robots.txt and TDM rules of its
origin, a turn at its host, a connection to a public address, opt-out headers, the body within
bounds. What may pass is tried again.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from aiohttp.abc import AbstractResolver
from multidict import istr

from crawlers.causes import Cause, cause_of_status
from crawlers.network.answer import Answer, Ask, FetchRules, Validators
from crawlers.network.connections import Connections
from crawlers.network.door import Door, Visit
from crawlers.network.exchange import Headers, Reply, Request
from crawlers.network.host_queue import HostState
from crawlers.network.opt_out import header_opt_out
from crawlers.network.outage import Outage, OutageLimits
from crawlers.network.pacing import PacingLimits
from crawlers.network.site_rules import FileReply, SiteRules, SiteRulesCache
from crawlers.network.target import (
    Authority,
    Refusal,
    Target,
    one_line,
    parse_target,
    printable,
    resolve,
    shown,
)
from crawlers.network.tdm import reservation
from crawlers.network.user_agent import UserAgent

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FILE_REDIRECTS = 5
_FILE_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}
_X_ROBOTS_TAG = istr("X-Robots-Tag")
_TDM_RESERVATION = istr("TDM-Reservation")
_TDM_POLICY = istr("TDM-Policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hop:
    """What came of one URL of a chain of redirects, and the decision on its robots.txt."""

    reply: Reply
    robots: str | None = None


_OF_AN_API = SiteRules(expires_at=math.inf)


class Fetcher:
    """Fetches URLs politely and safely; an async context manager, one per process.

    While this machine's own network is out, as ``outage`` says, whatever is asked for waits.
    ``resolver`` looks up host names, the system's by default; ``jitter`` draws from [0, 1).
    """

    def __init__(
        self,
        identity: UserAgent,
        *,
        resolver: AbstractResolver | None = None,
        limits: PacingLimits | None = None,
        outage: OutageLimits | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._identity = identity
        self._resolver = resolver
        self._limits = limits or PacingLimits()
        self.outage = Outage(outage or OutageLimits())
        self._jitter = jitter

    async def __aenter__(self) -> Self:
        self._connections = Connections(self._identity, self._resolver)
        self._door = Door(self._connections, self._limits, self.outage, self._jitter)
        self._site_rules = SiteRulesCache(
            self._identity.robots_name, asyncio.get_running_loop().time
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._site_rules.close()
        self._door.close()
        await self._connections.close()

    def hosts(self) -> list[HostState]:
        """Say how each host stands, for progress."""
        return self._door.hosts()

    async def fetch(self, ask: Ask) -> Answer:
        """Ask for one URL and follow its redirects; never raises for what a server does.

        A body may come compressed unless an image is asked for; it is returned decompressed.
        """
        target = self._checked(ask.url, ask.rules)
        if isinstance(target, Refusal):
            return _answer(ask, None, _Hop(reply=Reply(refusal=target)))
        redirects = 0
        while True:
            hop = await self._hop(ask, target)
            following = self._following(ask, target, hop.reply, redirects)
            if isinstance(following, Target):
                if following.authority.origin != target.authority.origin:
                    ask = replace(ask, secrets={})
                target, redirects = following, redirects + 1
                continue
            if following is not None:
                hop = replace(hop, reply=replace(hop.reply, refusal=following))
            answer = _answer(ask, str(target.address) if redirects else None, hop)
            if answer.cause is not None:
                self._door.queue(target.authority.site, ask.rules).refusals[answer.cause] += 1
            return answer

    def _checked(self, url: str, rules: FetchRules) -> Target | Refusal:
        """Take a URL apart; refuse it when it may not be asked for, whatever its host says."""
        target = parse_target(url)
        if isinstance(target, Target) and not rules.allows(str(target.address)):
            return Refusal(cause=Cause.OFF_SITE, detail=target.authority.site)
        return target

    def _following(
        self, ask: Ask, target: Target, reply: Reply, redirects: int
    ) -> Target | Refusal | None:
        """Return where an answer redirects to, or why there it is not followed."""
        if reply.status not in _REDIRECTS or reply.refusal is not None:
            return None
        location = reply.headers.get("Location", "")
        if redirects >= ask.rules.max_redirects:
            return Refusal(cause=Cause.TOO_MANY_REDIRECTS, detail=f"to {shown(location)}")
        following = _redirect_target(target, location)
        if isinstance(following, Target) and not ask.rules.allows(str(following.address)):
            return Refusal(cause=Cause.REDIRECT_OFF_SITE, detail=f"to {shown(location)}")
        return following

    async def _hop(self, ask: Ask, target: Target) -> _Hop:
        """Ask for one URL, if its origin's own files let us."""
        authority, rules = target.authority, ask.rules
        may_be_private = rules.allow_private(authority.host, authority.port)
        if authority.is_private and not may_be_private:
            return _Hop(reply=Reply(refusal=_private(authority)))
        site_rules = await self._rules_of(target, rules, may_be_private)
        decision = site_rules.robots.decision if site_rules.unavailable is None else None
        if site_rules is _OF_AN_API:
            decision = None
        if (refusal := site_rules.refusal(target.path)) is not None:
            is_forbidden = refusal.cause is Cause.ROBOTS_FORBIDDEN
            decision = "forbidden" if is_forbidden else decision
            return _Hop(reply=Reply(refusal=refusal), robots=decision)
        request = Request(
            address=target.address,
            headers=_request_headers(ask),
            max_bytes=ask.max_bytes,
            timeout_s=rules.timeout_s,
        )
        visit = Visit(
            site=authority.site,
            rules=rules,
            may_be_private=may_be_private,
            request=request,
            judge=self._judge,
            crawl_delay_s=site_rules.robots.delay_s,
        )
        return _Hop(reply=await self._door.get(visit), robots=decision)

    def _judge(self, status: int, headers: Headers) -> Refusal | None:
        """Read the opt-outs in an answer's headers."""
        if status not in (200, 304):
            return None
        if _X_ROBOTS_TAG in headers:
            values, name = headers.getall(_X_ROBOTS_TAG), self._identity.robots_name
            if (directive := header_opt_out(values, name, datetime.now(UTC))) is not None:
                return Refusal(cause=Cause.OPTED_OUT, detail=one_line(f"X-Robots-Tag: {directive}"))
        if _TDM_RESERVATION in headers:
            return reservation(headers[_TDM_RESERVATION], headers.get(_TDM_POLICY), "header")
        return None

    async def _rules_of(self, target: Target, rules: FetchRules, may_be_private: bool) -> SiteRules:
        """Return what the origin's own files say; they are not asked about calls of an API."""
        if rules.is_api(str(target.address)):
            return _OF_AN_API
        known = self._site_rules.known(target.authority, may_be_private)
        if known is not None:
            return known
        return await self._load_site_rules(target.authority, rules, may_be_private)

    async def _load_site_rules(
        self, authority: Authority, rules: FetchRules, may_be_private: bool
    ) -> SiteRules:
        async def get(path: str, max_bytes: int) -> FileReply:
            return await self._get_file(authority.origin + path, rules, max_bytes)

        return await self._site_rules.load(authority, may_be_private, get)

    async def _get_file(self, url: str, rules: FetchRules, max_bytes: int) -> FileReply:
        """Fetch robots.txt or the like; its redirects may lead to any public host."""
        following = parse_target(url)
        for redirects in range(_FILE_REDIRECTS + 1):
            if isinstance(following, Refusal):
                return FileReply(reply=Reply(refusal=following), is_of_origin=not redirects)
            target = following
            reply = await self._get_once(target, rules, max_bytes)
            if reply.status not in _REDIRECTS or reply.refusal is not None:
                return FileReply(reply=reply, is_of_origin=not redirects)
            following = _redirect_target(target, reply.headers.get("Location", ""))
        refusal = Refusal(cause=Cause.TOO_MANY_REDIRECTS)
        return FileReply(reply=Reply(refusal=refusal), is_of_origin=False)

    async def _get_once(self, target: Target, rules: FetchRules, max_bytes: int) -> Reply:
        authority = target.authority
        may_be_private = rules.allow_private(authority.host, authority.port)
        if authority.is_private and not may_be_private:
            return Reply(refusal=_private(authority))
        request = Request(
            address=target.address,
            headers=_FILE_HEADERS,
            max_bytes=max_bytes,
            timeout_s=rules.timeout_s,
            may_be_cut=True,
        )
        visit = Visit(
            site=authority.site,
            rules=rules,
            may_be_private=may_be_private,
            request=request,
            judge=lambda _status, _headers: None,
        )
        return await self._door.get(visit)


def _private(authority: Authority) -> Refusal:
    return Refusal(cause=Cause.PRIVATE_ADDRESS, detail=f"{authority.host} is not a public address")


def _redirect_target(target: Target, location: str) -> Target | Refusal:
    """Return where a Location header leads; what is no http(s) URL is a bad redirect."""
    if not location.strip():
        return Refusal(cause=Cause.BAD_REDIRECT, detail="no Location header")
    try:
        following = parse_target(resolve(str(target.address), location))
    except ValueError as error:
        return Refusal(cause=Cause.BAD_REDIRECT, detail=one_line(error))
    if isinstance(following, Refusal) and following.cause is not Cause.PRIVATE_ADDRESS:
        return Refusal(cause=Cause.BAD_REDIRECT, detail=f"to {shown(location)}")
    return following


def _request_headers(ask: Ask) -> dict[str, str]:
    coding = "identity" if ask.accept.startswith("image/") else "gzip"
    headers = {"Accept": ask.accept, "Accept-Encoding": coding, **ask.secrets}
    if ask.referrer is not None:
        headers["Referer"] = ask.referrer
    if ask.validators.etag is not None:
        headers["If-None-Match"] = ask.validators.etag
    if ask.validators.last_modified is not None:
        headers["If-Modified-Since"] = ask.validators.last_modified
    return headers


def _answer(ask: Ask, final_url: str | None, hop: _Hop) -> Answer:
    reply = hop.reply
    status, refusal = reply.status, reply.refusal
    is_unchanged = status == 304 and ask.validators != Validators()
    cause, detail = None, None
    if refusal is not None:
        cause, detail = refusal.cause, refusal.detail
    elif status is not None and not is_unchanged:
        cause = cause_of_status(status)
    return Answer(
        url=ask.url,
        fetched_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        cause=cause,
        detail=detail,
        final_url=final_url,
        status=status,
        headers=_lower_case(reply.headers),
        body=reply.body,
        is_unchanged=is_unchanged and cause is None,
        robots=hop.robots,
    )


def _lower_case(headers: Headers) -> dict[str, str]:
    """Return headers by lower-case name; several of one name are joined (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        key, value = name.lower(), printable(value)
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found
