"""The resolver over a name server whose answers are scripted: what it lets through."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from scrapy.resolver import dnscache
from twisted.internet.address import IPv4Address, IPv6Address

from crawlers.resolver import PublicResolver
from crawlers.sites import Site, Sites


class ScriptedNames:
    """Answers each look-up of a name with the next of its address lists."""

    def __init__(self, answers: dict[str, list[list[str]]]) -> None:
        self.answers = answers

    def resolveHostName(self, receiver: Any, host: str, port: int = 0, *_kinds: Any) -> None:  # noqa: N802
        receiver.resolutionBegan(None)
        for text in self.answers[host].pop(0):
            kind = IPv6Address if ":" in text else IPv4Address
            receiver.addressResolved(kind("TCP", text, port))
        receiver.resolutionComplete()


class Collector:
    """Keeps the addresses that a connection would be tried at."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.complete = False

    def resolutionBegan(self, _resolution: Any) -> None:  # noqa: N802
        pass

    def addressResolved(self, address: Any) -> None:  # noqa: N802
        self.addresses.append(address.host)

    def resolutionComplete(self) -> None:  # noqa: N802
        self.complete = True


@pytest.fixture(autouse=True)
def _no_cached_names() -> Iterator[None]:
    dnscache.clear()
    yield
    dnscache.clear()


def resolver(answers: dict[str, list[list[str]]], *, cache_size: int = 0) -> PublicResolver:
    site = Site(
        name="own",
        start_url="http://own.test/{slug}",
        allowed_hosts=("own.test",),
        images={"css": "img", "attribute": "src"},
        allow_private=True,
    )
    names = SimpleNamespace(nameResolver=ScriptedNames(answers))
    return PublicResolver(names, cache_size, Sites(contact="x", sites=(site,)))


def look_up(names: PublicResolver, host: str, port: int = 80) -> list[str]:
    collector = Collector()
    names.resolveHostName(collector, host, portNumber=port)
    assert collector.complete
    return collector.addresses


def test_only_public_addresses_pass() -> None:
    names = resolver({"mixed.test": [["10.0.0.1", "1.1.1.1", "::1", "2606:4700:4700::1111"]]})
    assert look_up(names, "mixed.test") == ["1.1.1.1", "2606:4700:4700::1111"]
    assert names.refused_hosts == set()


def test_a_name_that_turns_private_between_two_look_ups_is_refused_then() -> None:
    names = resolver({"rebind.test": [["1.1.1.1"], ["127.0.0.1"]]})
    assert look_up(names, "rebind.test") == ["1.1.1.1"]
    assert look_up(names, "rebind.test") == []
    assert names.refused_hosts == {"rebind.test"}


def test_cached_answers_are_checked_too() -> None:
    names = resolver({"inner.test": [["::ffff:10.0.0.1"]]}, cache_size=10)
    assert look_up(names, "inner.test") == []
    assert look_up(names, "inner.test") == []


def test_a_site_of_ones_own_may_be_private_but_only_at_its_ports() -> None:
    names = resolver({"own.test": [["127.0.0.1"], ["127.0.0.1"]]})
    assert look_up(names, "own.test", 443) == ["127.0.0.1"]
    assert look_up(names, "own.test", 8080) == []


def test_a_name_without_address_is_not_counted_as_refused() -> None:
    names = resolver({"none.test": [[]]})
    assert look_up(names, "none.test") == []
    assert names.refused_hosts == set()
