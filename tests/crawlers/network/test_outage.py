"""An outage of one's own network: nobody is to blame, and everybody waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crawlers.causes import Cause
from crawlers.network.outage import Outage, OutageLimits

LIMITS = OutageLimits(hosts=3, known_s=600.0, pauses_s=(5.0, 10.0))


@pytest.fixture
def outage() -> Outage:
    return Outage(LIMITS)


def test_hosts_that_answered_and_cannot_be_reached_mean_an_outage(outage: Outage) -> None:
    for host in "abcd":
        outage.answered(host, 0.0)
    assert [outage.unreachable(host, 1.0) for host in "aab"] == [False, False, False]
    assert outage.wait_s(1.0) == outage.out_s(1.0) == 0.0
    assert outage.unreachable("c", 2.0)
    assert (outage.wait_s(2.0), outage.wait_s(6.0), outage.wait_s(7.0)) == (5.0, 1.0, 0.0)
    assert outage.unreached == ("a", "b", "c")
    # What was under way when it was noticed waits too; the next round waits longer.
    assert outage.unreachable("d", 3.0)
    assert outage.wait_s(3.0) == 4.0
    for now, wait in ((7.0, 10.0), (20.0, 10.0)):
        assert outage.unreachable("a", now)
        assert outage.wait_s(now) == wait
    assert outage.out_s(20.0) == 18.0


def test_an_answer_ends_it_and_all_begins_anew(outage: Outage) -> None:
    for host in "abc":
        outage.answered(host, 0.0)
    assert [outage.unreachable(host, 1.0) for host in "abc"] == [False, False, True]
    outage.answered("b", 2.0)
    assert outage.wait_s(2.0) == outage.out_s(2.0) == 0.0
    assert outage.unreached == ()
    assert [outage.unreachable(host, 3.0) for host in "abc"] == [False, False, True]
    assert outage.wait_s(3.0) == 5.0


def test_a_host_that_is_gone_while_others_answer_is_no_outage(outage: Outage) -> None:
    for number in range(20):
        outage.answered("a", number)
        outage.answered("b", number)
        assert not outage.unreachable("gone", number)
        assert not outage.unreachable("a", number)


def test_where_only_one_host_is_asked_it_alone_decides(outage: Outage) -> None:
    outage.answered("a", 0.0)
    assert outage.unreachable("a", 1.0)
    # What answered long ago says nothing any more.
    outage.answered("a", 10.0)
    assert not outage.unreachable("a", 611.0)


def test_before_any_answer_several_names_are_needed(outage: Outage) -> None:
    assert [outage.unreachable(host, 0.0) for host in "aaab"] == [False] * 4
    assert outage.unreachable("c", 0.0)


def test_requests_wait_until_the_network_is_back(network: Any, names: Any) -> None:
    routes = {f"/{n}": network.reply(b"%d" % n, 200, "Connection: close") for n in range(2)}

    async def scenario() -> tuple[list[Any], list[Any]]:
        limits = OutageLimits(pauses_s=(0.1,))
        async with (
            network.site(routes=routes) as site,
            network.fetcher(resolver=names, outage=limits) as door,
        ):
            urls = [f"http://{name}.test:{site.port}/" for name in ("a", "b", "c", "d")]
            first = [await door.fetch(network.ask(f"{url}0")) for url in urls]
            names.is_out = True
            # An outage outlasts what is remembered of names.
            await _forget_names(door)
            asks = [network.ask(f"{url}1", retries=2) for url in urls for _ in range(10)]
            under_way = asyncio.gather(*(door.fetch(ask) for ask in asks))
            await asyncio.sleep(0.35)
            assert not under_way.done()
            assert door.outage.out_s(asyncio.get_running_loop().time()) > 0.2
            names.is_out = False
            then = await asyncio.wait_for(under_way, 10)
            assert door.outage.out_s(asyncio.get_running_loop().time()) == 0.0
            return first, then

    first, then = asyncio.run(scenario())
    assert [one.body for one in first] == [b"0"] * 4
    assert [(one.cause, one.body) for one in then] == [(None, b"1")] * 40
    # They waited in between instead of asking on and on.
    assert names.failures < 1_000


def test_a_name_that_is_gone_is_so_while_others_answer(network: Any, names: Any) -> None:
    async def scenario() -> list[Any]:
        routes = {"/1": network.reply(b"1")}
        async with (
            network.site(routes=routes) as site,
            network.fetcher(resolver=names) as door,
        ):
            urls = [f"http://{name}.test:{site.port}/1" for name in ("a", "gone1", "gone2", "b")]
            return [await door.fetch(network.ask(url)) for url in urls]

    answers = asyncio.run(scenario())
    expected = [None, Cause.UNKNOWN_HOST, Cause.UNKNOWN_HOST, None]
    assert [one.cause for one in answers] == expected


async def _forget_names(door: Any) -> None:
    for session in (door._connections._any, door._connections._public):
        session.connector.clear_dns_cache()
