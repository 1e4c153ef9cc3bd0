"""Sessions that connect to public addresses only, and one that may connect anywhere.

The check is of the very address that a socket is made for, so neither a DNS answer that changes
between two look-ups nor an address that needs no look-up gets past it. Connections to hosts that
may be private have a session of their own: what one site may do never serves another.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from crawlers.network.addresses import is_public
from crawlers.network.user_agent import UserAgent

_LOOKUPS_AT_ONCE = 32
_KEEP_ALIVE_S = 15.0
_OPEN_FILES = 16_384
_DNS_CACHE_S = 60
_HEADER_LINE_BYTES = 8190


class PrivateAddressError(OSError):
    """A host has no public address."""


class SystemResolver(AbstractResolver):
    """Asks the system's resolver, in threads of its own, so that slow names hold up no others."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return all addresses of a host name.

        Raises:
            OSError: when it has none.
        """
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, _look_up, host, port, family, socket.SOCK_STREAM
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
            # A link-local address needs its scope, which is lost here.
            if len(address) < 4 or not address[3]
        ]

    async def close(self) -> None:
        """Stop the threads without waiting for names that are still being looked up."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class PublicResolver(AbstractResolver):
    """Passes on only public addresses of another resolver."""

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the public addresses of a host name.

        Raises:
            PrivateAddressError: when it has addresses, none of them public.
            OSError: when it has none at all.
        """
        found = await self._resolver.resolve(host, port, family)
        public = [one for one in found if is_public(one["host"])]
        if found and not public:
            raise PrivateAddressError(f"{host} has the address {found[0]['host']}")
        return public

    async def close(self) -> None:
        """Leave the other resolver to its owner."""


class Connections:
    """The two sessions, with kept-alive connections; they keep no cookies and use no proxy.

    ``most`` is how many requests may be under way at once, so that the process never runs out of
    files to open: one half is for them, the other for connections that are kept for later.
    """

    def __init__(self, user_agent: UserAgent, resolver: AbstractResolver | None) -> None:
        self.most = _open_files() // 2
        names = resolver or SystemResolver()
        self._own_resolver = names if resolver is None else None
        self._public = _session(user_agent, PublicResolver(names), public_socket)
        self._any = _session(user_agent, names, None)

    def session(self, *, may_be_private: bool) -> aiohttp.ClientSession:
        """Return the session that may connect only to public addresses, or to any."""
        return self._any if may_be_private else self._public

    async def close(self) -> None:
        """Close all connections."""
        await self._public.close()
        await self._any.close()
        if self._own_resolver is not None:
            await self._own_resolver.close()


def public_socket(address: Any) -> socket.socket:
    """Make a socket for an ``addrinfo`` tuple.

    Raises:
        PrivateAddressError: when the address is not public; there is no socket then.
    """
    family, kind, protocol, _, place = address
    if not is_public(place[0]):
        raise PrivateAddressError(f"{place[0]} is not a public address")
    return socket.socket(family=family, type=kind, proto=protocol)


def _open_files() -> int:
    """Return how many files this process may have open, after raising that as far as useful."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _OPEN_FILES
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def _look_up(host: str, port: int, family: int, kind: int) -> list[Any]:
    return socket.getaddrinfo(host, port, family, kind, 0, socket.AI_ADDRCONFIG)


def _session(
    user_agent: UserAgent, resolver: AbstractResolver, socket_factory: Any
) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        resolver=resolver,
        socket_factory=socket_factory,
        limit=0,  # Pacing limits what is under way at a host.
        keepalive_timeout=_KEEP_ALIVE_S,
        ttl_dns_cache=_DNS_CACHE_S,
    )
    return aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": user_agent.header},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        max_line_size=_HEADER_LINE_BYTES,
        max_field_size=_HEADER_LINE_BYTES,
    )
