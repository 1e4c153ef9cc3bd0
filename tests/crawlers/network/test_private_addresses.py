"""No connection to an address that is not public, however it is written, reached or looked up."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from crawlers.causes import Cause
from crawlers.network.answer import Answer
from crawlers.network.connections import PrivateAddressError, public_socket

# ``{port}`` is that of a server that listens on all of loopback, and counts who connects.
_PLACES = [
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.01:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.255.255.254:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[fe80::1%lo]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[fc00::1]:{port}/",
    "http://localhost:{port}/",
    "http://LocalHost:{port}/",
    "http://ⓛocalhost:{port}/",
    "http://①②⑦.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
]
_PUBLIC = "93.184.215.14"


class ScriptedNames(AbstractResolver):
    """Answers each look-up with the next of its lists of addresses, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.looked_up: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.looked_up.append(host)
        assert family == socket.AF_UNSPEC
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        kinds = {True: socket.AF_INET6, False: socket.AF_INET}
        return [
            ResolveResult(
                hostname=host, host=one, port=port, family=kinds[":" in one], proto=0, flags=0
            )
            for one in found
        ]

    async def close(self) -> None:
        pass


def _nowhere(_host: str, _port: int) -> bool:
    return False


@pytest.mark.parametrize("place", _PLACES)
def test_written_as_the_first_url(network: Any, place: str) -> None:
    async def scenario() -> tuple[Answer, int]:
        async with network.site(host="127.0.0.1") as site, network.fetcher() as door:
            url = place.format(port=site.port)
            answer = await door.fetch(network.ask(url, allow_private=_nowhere, timeout_s=0.5))
            return answer, site.connections

    answer, connections = asyncio.run(scenario())
    assert answer.cause is Cause.PRIVATE_ADDRESS
    assert (answer.status, answer.body, connections) == (None, b"", 0)


@pytest.mark.parametrize(
    "place",
    ["http://localhost.:{port}/", "http://127.0.0.1%00:{port}/", "http://[127.0.0.1]:{port}/"],
)
def test_forms_that_are_names_to_some_and_nothing_to_others(network: Any, place: str) -> None:
    async def scenario() -> tuple[Answer, int]:
        async with network.site() as site, network.fetcher() as door:
            url = place.format(port=site.port)
            return await door.fetch(network.ask(url, allow_private=_nowhere)), site.connections

    answer, connections = asyncio.run(scenario())
    assert answer.cause in (Cause.PRIVATE_ADDRESS, Cause.UNKNOWN_HOST, Cause.BAD_URL)
    assert connections == 0


@pytest.mark.parametrize("place", _PLACES)
def test_written_in_a_redirect(network: Any, place: str) -> None:
    async def scenario() -> tuple[Answer, Any, Any]:
        target, start = network.site(host="127.0.0.1"), network.site()
        async with target, start, network.fetcher() as door:
            location = place.format(port=target.port)
            start.routes["/a"] = network.reply(b"", 302, f"Location: {location}")
            ask = network.ask(
                f"{start.url}/a", allow_private=lambda _, port: port == start.port, timeout_s=0.5
            )
            return await door.fetch(ask), start, target

    answer, start, target = asyncio.run(scenario())
    assert answer.cause is Cause.PRIVATE_ADDRESS
    assert start.paths() == ["/a"]
    assert target.connections == 0


def test_in_a_redirect_of_robots_txt(network: Any) -> None:
    async def scenario() -> tuple[Answer, Any]:
        target, start = network.site(), network.site()
        async with target, start, network.fetcher() as door:
            there = f"Location: {target.url}/robots.txt"
            start.routes["/robots.txt"] = network.reply(b"", 302, there)
            ask = network.ask(f"{start.url}/a", allow_private=lambda _, port: port == start.port)
            return await door.fetch(ask), target

    answer, target = asyncio.run(scenario())
    assert answer.cause is Cause.ROBOTS_FORBIDDEN
    assert target.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["fe80::1"]],
)
def test_a_dns_answer_that_is_private(network: Any, addresses: list[str]) -> None:
    async def scenario() -> tuple[Answer, int]:
        door = network.fetcher(resolver=ScriptedNames(addresses))
        async with network.site() as site, door:
            url = f"http://photos.example:{site.port}/a"
            return await door.fetch(network.ask(url, allow_private=_nowhere)), site.connections

    answer, connections = asyncio.run(scenario())
    assert answer.cause is Cause.PRIVATE_ADDRESS
    assert connections == 0


def test_a_dns_answer_that_changes_between_two_look_ups(network: Any) -> None:
    async def scenario() -> tuple[list[Answer], ScriptedNames, int]:
        names = ScriptedNames([_PUBLIC], ["127.0.0.1"], [_PUBLIC, "127.0.0.1"])
        sites = [network.site(routes={"/a": network.reply(b"secret")}) for _ in range(3)]
        async with (
            sites[0],
            sites[1],
            sites[2],
            network.fetcher(resolver=names) as door,
        ):
            # Another port of the same name is looked up anew.
            urls = [f"http://photos.example:{site.port}/a" for site in sites]
            keys = {"allow_private": _nowhere, "timeout_s": 0.3}
            answers = [await door.fetch(network.ask(url, **keys)) for url in urls]
            return answers, names, sum(site.connections for site in sites)

    answers, names, connections = asyncio.run(scenario())
    assert names.looked_up == ["photos.example"] * 3
    assert answers[1].cause is Cause.PRIVATE_ADDRESS
    # Tried in vain, for there is nobody at the public address in a test.
    assert {answers[0].cause, answers[2].cause} <= {Cause.TIMEOUT, Cause.CONNECTION_FAILED}
    assert connections == 0


def test_of_several_addresses_only_public_ones_are_tried(network: Any) -> None:
    async def scenario() -> tuple[Answer, int]:
        names = ScriptedNames(["127.0.0.1", _PUBLIC, "::1"])
        async with network.site() as site, network.fetcher(resolver=names) as door:
            url = f"http://photos.example:{site.port}/a"
            ask = network.ask(url, allow_private=_nowhere, timeout_s=0.3)
            return await door.fetch(ask), site.connections

    answer, connections = asyncio.run(scenario())
    # Tried in vain, for there is nobody at the public address in a test.
    assert answer.cause in (Cause.TIMEOUT, Cause.CONNECTION_FAILED)
    assert connections == 0


def test_what_one_site_may_do_serves_no_other(network: Any) -> None:
    async def scenario() -> tuple[list[Answer], int]:
        names = ScriptedNames(["127.0.0.1"])
        routes = {"/a": network.reply(b"x")}
        async with network.site(routes=routes) as site, network.fetcher(resolver=names) as door:
            url = f"http://photos.example:{site.port}/a"
            ours, theirs = network.ask(url), network.ask(url, allow_private=_nowhere)
            answers = [await door.fetch(ask) for ask in (theirs, ours, theirs, ours)]
            return answers, site.connections

    answers, connections = asyncio.run(scenario())
    assert [one.cause for one in answers] == [Cause.PRIVATE_ADDRESS, None] * 2
    assert connections == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_with_the_allow_list_the_same_server_is_reached(network: Any, host: str) -> None:
    async def scenario() -> Answer:
        routes = {"/a": network.reply(b"x")}
        async with network.site(routes=routes, host=host) as site, network.fetcher() as door:
            ask = network.ask(
                f"{site.url}/a", allow_private=lambda *place: place == (host, site.port)
            )
            return await door.fetch(ask)

    assert asyncio.run(scenario()).body == b"x"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:10.0.0.1", "not an address"])
def test_there_is_no_socket_for_a_private_address(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(PrivateAddressError):
        public_socket((family, socket.SOCK_STREAM, 0, "", (address, 80)))
