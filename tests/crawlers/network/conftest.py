"""Real servers on loopback that speak raw HTTP, and asks of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from crawlers.network.answer import Answer, Ask, FetchRules, Validators
from crawlers.network.breaker import BreakerLimits
from crawlers.network.fetcher import Fetcher
from crawlers.network.pacing import PacingLimits
from crawlers.network.user_agent import UserAgent

WINNOW = UserAgent(header="Winnow/0.1 (+mailto:team@example.org)", robots_name="Winnow")
Handler = Callable[["Asked", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came: path with query, headers by lower-case name, and when."""

    path: str
    headers: dict[str, str]
    at: float


@dataclass(slots=True)
class Site:
    """A server; a route is raw bytes to send, or a function that writes them.

    Without a route, robots.txt and all else are answered 404.
    """

    routes: dict[str, bytes | Handler] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[Any] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def paths(self) -> list[str]:
        """What was asked for, without the files that are fetched once per origin."""
        files = ("/robots.txt", "/.well-known/tdmrep.json")
        return [one.path for one in self.asked if one.path not in files]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode("latin-1"), writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.strip().split("\r\n")
        path = first.split(" ")[1]
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        self.asked.append(Asked(path=path, headers=headers, at=asyncio.get_running_loop().time()))
        route = self.routes.get(path, reply(b"", 404))
        if isinstance(route, bytes):
            writer.write(route)
        else:
            await route(self.asked[-1], writer)


def reply(body: bytes = b"", status: int = 200, *headers: str, length: int | None = None) -> bytes:
    """Return an HTTP answer; ``length`` announces another length than the body has."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {size}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Network:
    """What a test needs, in one fixture."""

    site: Callable[..., Site] = Site
    reply: Callable[..., bytes] = reply
    user_agent: UserAgent = WINNOW

    def fetcher(self, **keys: Any) -> Fetcher:
        """A fetcher that does not wait between retries and probes dead hosts soon."""
        quick = PacingLimits(breaker=BreakerLimits(pauses_s=(0.05, 0.1)), first_pause_s=0.05)
        return Fetcher(WINNOW, **{"jitter": lambda: 0.0, "limits": quick} | keys)

    def rules(self, **keys: Any) -> FetchRules:
        """Rules that allow everything, without delay or retries."""
        defaults = {
            "allows": lambda _url: True,
            "allow_private": lambda _host, _port: True,
            "delay_s": 0.0,
            "timeout_s": 5.0,
            "retries": 0,
        }
        return FetchRules(**defaults | keys)

    def ask(self, url: str, **keys: Any) -> Ask:
        """Ask for a URL; keys of the rules may be given too."""
        own = {name: keys.pop(name) for name in ("accept", "referrer") if name in keys}
        validators = keys.pop("validators", Validators())
        size = keys.pop("max_bytes", 100_000)
        return Ask(url=url, rules=self.rules(**keys), max_bytes=size, validators=validators, **own)

    def answers(self, asks: list[Ask], fetcher: Fetcher | None = None) -> list[Answer]:
        """Fetch one after the other, for servers that run elsewhere or not at all."""

        async def fetch_all() -> list[Answer]:
            async with fetcher or self.fetcher() as door:
                return [await door.fetch(ask) for ask in asks]

        return asyncio.run(fetch_all())


@pytest.fixture
def network() -> Network:
    return Network()
