"""The files of an origin over days: what is asked for again, when, and what holds meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from crawlers.causes import Cause
from crawlers.network.exchange import Reply
from crawlers.network.site_rules import FileReply, SiteRules, SiteRulesCache
from crawlers.network.target import Refusal, Target, parse_target

_DAY_S = 86_400.0


class Origin:
    """An origin whose files change, and a clock."""

    def __init__(self) -> None:
        self.files: dict[str, FileReply] = {}
        self.asked: list[str] = []
        self.now = 1000.0
        self.cache = SiteRulesCache("Winnow", lambda: self.now)

    def robots(self, body: bytes = b"", **reply: Any) -> None:
        if cause := reply.pop("cause", None):
            reply = {"status": None, "refusal": Refusal(cause=cause, detail="why")} | reply
        self.files["/robots.txt"] = FileReply(reply=Reply(**{"status": 200, "body": body} | reply))

    async def get(self, path: str, _max_bytes: int) -> FileReply:
        self.asked.append(path)
        await asyncio.sleep(0)
        return self.files.get(path, FileReply(reply=Reply(status=404)))

    async def rules(self) -> SiteRules:
        target = parse_target("http://h.example/a")
        assert isinstance(target, Target)
        known = self.cache.known(target.authority, False)
        return known or await self.cache.load(target.authority, False, self.get)


Days = Callable[[Callable[[Origin], Awaitable[None]]], None]


@pytest.fixture
def days() -> Days:
    """Run a scenario with an origin."""

    def run(scenario: Callable[[Origin], Awaitable[None]]) -> None:
        async def main() -> None:
            await scenario(Origin())

        asyncio.run(main())

    return run


def test_both_files_are_asked_for_once_a_day(days: Days) -> None:
    async def scenario(origin: Origin) -> None:
        await asyncio.gather(*(origin.rules() for _ in range(5)))
        origin.now += _DAY_S - 1
        await origin.rules()
        assert origin.asked == ["/robots.txt", "/.well-known/tdmrep.json"]
        origin.robots(b"User-agent: *\nDisallow: /")
        origin.now += 1
        refusal = (await origin.rules()).refusal("/a")
        assert refusal is not None
        assert refusal.cause is Cause.ROBOTS_FORBIDDEN
        # The other file is not asked for either: robots.txt forbids it.
        assert origin.asked[2:] == ["/robots.txt"]

    days(scenario)


@pytest.mark.parametrize(
    "trouble", [{"status": 503}, {"status": 429}, {"status": 200, "cause": Cause.TRUNCATED}]
)
def test_a_server_that_cannot_give_it_is_asked_again_after_a_minute(
    days: Days, trouble: dict[str, Any]
) -> None:
    async def scenario(origin: Origin) -> None:
        origin.robots(**trouble)
        for _ in range(3):
            assert (await origin.rules()).unavailable is not None
        assert origin.asked == ["/robots.txt"]
        origin.robots(b"")
        origin.now += 60
        assert (await origin.rules()).refusal("/a") is None

    days(scenario)


@pytest.mark.parametrize("trouble", [{"status": 500}, {"cause": Cause.CONNECTION_FAILED}])
def test_rules_that_cannot_be_had_anew_go_on(days: Days, trouble: dict[str, Any]) -> None:
    async def scenario(origin: Origin) -> None:
        origin.robots(b"User-agent: *\nDisallow: /no\nCrawl-delay: 7")
        await origin.rules()
        origin.robots(**trouble)
        origin.now += _DAY_S
        rules = await origin.rules()
        assert (rules.refusal("/a"), rules.robots.delay_s) == (None, 7.0)
        assert rules.refusal("/no") is not None
        origin.robots(b"")
        origin.now += 60
        assert (await origin.rules()).refusal("/no") is None

    days(scenario)


@pytest.mark.parametrize(
    "cause", [Cause.CONNECTION_FAILED, Cause.TIMEOUT, Cause.UNKNOWN_HOST, Cause.HOST_DOWN]
)
def test_a_host_that_cannot_be_reached_says_so_and_is_asked_again_at_once(
    days: Days, cause: Cause
) -> None:
    async def scenario(origin: Origin) -> None:
        origin.robots(cause=cause)
        refusal = (await origin.rules()).refusal("/a")
        assert refusal == Refusal(cause=cause, detail="robots.txt: why")
        origin.robots(b"")
        assert (await origin.rules()).refusal("/a") is None

    days(scenario)


def test_failures_elsewhere_are_not_the_hosts_own(days: Days) -> None:
    async def scenario(origin: Origin) -> None:
        elsewhere = Reply(refusal=Refusal(cause=Cause.UNKNOWN_HOST))
        origin.files["/robots.txt"] = FileReply(reply=elsewhere, is_of_origin=False)
        refusal = (await origin.rules()).refusal("/a")
        assert refusal == Refusal(cause=Cause.ROBOTS_FORBIDDEN, detail="robots.txt: unknown_host")

    days(scenario)
