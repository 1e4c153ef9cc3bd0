"""A site of faults for crawlers: every URL has its own, and every request is written down.

The path of a URL says what comes of it (``benchmarks/crawl_urls.py``), so the server keeps no state
but bursts of 429 and its record of requests. It is an aiohttp server in a process of its own, one
port of loopback for each host, and one more host that is down.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from aiohttp import web

from benchmarks.crawl_urls import JPEG, Kind, image_of

_SLOW_S = 0.3
_ENDLESS_PIECE = bytes(64 << 10)
_ENDLESS_PIECES = 1024
_BURST_EVERY = 400
_BURST_S = 0.1
ROBOTS = "User-agent: *\nDisallow: /forbidden/\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request; times on the clock of ``time.monotonic``, which processes share on Linux."""

    host: int
    path: str
    began: float
    ended: float
    status: int


@dataclass(frozen=True, slots=True)
class Site:
    """A running server: its ports, the last one that of the host that is down."""

    ports: tuple[int, ...]
    _control: Connection

    @property
    def origins(self) -> list[str]:
        """The origin of each host."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def count_urls(self) -> int:
        """How many URLs were asked for since :meth:`forget`."""
        return int(self._ask("count"))

    def asked(self) -> list[Asked]:
        """The requests since :meth:`forget`, in the order of their ends."""
        return [Asked(**row) for row in self._ask("asked")]

    def forget(self) -> None:
        """Begin a new record."""
        self._ask("forget")

    def _ask(self, what: str) -> Any:
        self._control.send(what)
        return self._control.recv()


@contextmanager
def started_site(hosts: int) -> Iterator[Site]:
    """Serve that many hosts until the context is left."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_serve, args=(hosts, there), daemon=True)
    process.start()
    there.close()
    try:
        yield Site(tuple(here.recv()), here)
    finally:
        process.terminate()
        process.join()


def _serve(hosts: int, control: Connection) -> None:
    asyncio.run(_Server(hosts, control).run())


@dataclass(slots=True)
class _Burst:
    """When a host has had enough: after so many requests, for a moment."""

    requests: int = 0
    until: float = 0.0

    def is_on(self, now: float) -> bool:
        self.requests += 1
        if self.requests % _BURST_EVERY == 0:
            self.until = now + _BURST_S
        return now < self.until


class _Server:
    def __init__(self, hosts: int, control: Connection) -> None:
        self._sockets = [_bound() for _ in range(hosts)]
        self._down = _bound()
        self._control = control
        self._asked: list[dict[str, Any]] = []
        self._urls: set[tuple[int, str]] = set()
        self._bursts = [_Burst() for _ in range(hosts)]

    async def run(self) -> None:
        """Serve until the process is ended."""
        runners = []
        for host, bound in enumerate(self._sockets):
            app = web.Application()
            app.router.add_get("/robots.txt", _robots)
            app.router.add_get(f"/{{kind:{'|'.join(Kind)}}}/{{number}}.jpg", self._handler(host))
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.SockSite(runner, bound, backlog=1024).start()
            runners.append(runner)
        ports = [bound.getsockname()[1] for bound in (*self._sockets, self._down)]
        self._control.send(ports)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._control.fileno(), self._answer)
        await asyncio.Event().wait()

    def _answer(self) -> None:
        try:
            what = self._control.recv()
        except EOFError:
            raise SystemExit from None
        if what == "forget":
            self._asked.clear()
            self._urls.clear()
        self._control.send(self._asked if what == "asked" else len(self._urls))

    async def _answer_of(self, host: int, request: web.Request) -> web.StreamResponse:
        kind = Kind(request.match_info["kind"])
        # What fails at every attempt must not fail in another way at the last.
        if self._bursts[host].is_on(time.monotonic()) and kind is not Kind.TRUNCATED:
            return web.Response(status=429, headers={"Retry-After": "1"})
        return await _ANSWERS[kind](request, int(request.match_info["number"]))

    def _handler(self, host: int) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            began = time.monotonic()
            status = 0
            self._urls.add((host, request.path))
            try:
                response = await self._answer_of(host, request)
                status = response.status
                return response
            finally:
                self._asked.append(
                    {
                        "host": host,
                        "path": request.path,
                        "began": began,
                        "ended": time.monotonic(),
                        "status": status,
                    }
                )

        return handle


def _bound() -> socket.socket:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


async def _robots(_request: web.Request) -> web.StreamResponse:
    return web.Response(text=ROBOTS)


async def _image(_request: web.Request, number: int) -> web.StreamResponse:
    return web.Response(body=image_of(number), content_type="image/jpeg")


async def _slow(request: web.Request, number: int) -> web.StreamResponse:
    await asyncio.sleep(_SLOW_S)
    return await _image(request, number)


async def _moved(_request: web.Request, number: int) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": f"/image/{number:06d}.jpg"})


async def _missing(_request: web.Request, _number: int) -> web.StreamResponse:
    return web.Response(status=404, text="not here")


async def _truncated(request: web.Request, number: int) -> web.StreamResponse:
    body = image_of(number)
    response = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _text(_request: web.Request, number: int) -> web.StreamResponse:
    page = f"<html><body>Page {number} in place of an image</body></html>"
    return web.Response(body=page.encode(), content_type="image/jpeg")


async def _endless(request: web.Request, _number: int) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
    await response.prepare(request)
    with suppress(ConnectionError):
        await response.write(JPEG)
        for _ in range(_ENDLESS_PIECES):
            await response.write(_ENDLESS_PIECE)
    return response


async def _loop(_request: web.Request, number: int) -> web.StreamResponse:
    return web.Response(status=301, headers={"Location": f"/loop/{number:06d}.jpg"})


async def _noai(_request: web.Request, number: int) -> web.StreamResponse:
    headers = {"X-Robots-Tag": "noai, noimageai"}
    return web.Response(body=image_of(number), content_type="image/jpeg", headers=headers)


async def _reserved(_request: web.Request, number: int) -> web.StreamResponse:
    headers = {"tdm-reservation": "1"}
    return web.Response(body=image_of(number), content_type="image/jpeg", headers=headers)


_ANSWERS: dict[Kind, Callable[[web.Request, int], Awaitable[web.StreamResponse]]] = {
    Kind.IMAGE: _image,
    Kind.SLOW: _slow,
    Kind.MOVED: _moved,
    Kind.MISSING: _missing,
    Kind.TRUNCATED: _truncated,
    Kind.TEXT: _text,
    Kind.ENDLESS: _endless,
    Kind.LOOP: _loop,
    Kind.FORBIDDEN: _image,
    Kind.NOAI: _noai,
    Kind.RESERVED: _reserved,
}
