"""One HTTP request and its answer, read within bounds; no politeness and no redirects here."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from crawlers.causes import Cause
from crawlers.network.connections import PrivateAddressError
from crawlers.network.content_coding import CodingError, decoded
from crawlers.network.target import Refusal, one_line

Headers = CIMultiDictProxy[str]
Judge = Callable[[int, Headers], Refusal | None]
_NO_HEADERS: Headers = CIMultiDictProxy(CIMultiDict())
# What is read of an unwanted body, and how long, so that its connection can be kept.
_DRAINED_BYTES = 64 << 10
_DRAINED_S = 1.0
# Failures of this machine, which say nothing about the host.
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NO_WAY = frozenset({errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of one server; ``timeout_s`` is for everything up to the body's last byte.

    With ``may_be_cut`` a body of more than ``max_bytes`` is cut there instead of refused.
    """

    address: URL
    headers: Mapping[str, str]
    max_bytes: int
    timeout_s: float
    may_be_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back: a status with headers and, for status 200, the body; or why not.

    ``refusal`` is null for any whole answer, whatever its status. ``is_unreached`` means that no
    way to the host was found, or no address of its name.
    """

    status: int | None = None
    headers: Headers = field(default_factory=lambda: _NO_HEADERS)
    body: bytes = b""
    refusal: Refusal | None = None
    is_unreached: bool = False

    @property
    def cause(self) -> Cause | None:
        """The refusal's cause."""
        return self.refusal.cause if self.refusal is not None else None


async def exchange(session: aiohttp.ClientSession, request: Request, judge: Judge) -> Reply:
    """Send a GET request and read its answer.

    ``judge`` sees status and headers before the body is read; with its refusal it is not read.
    """
    try:
        response = await session.get(
            request.address,
            headers=request.headers,
            allow_redirects=False,
            timeout=_timeout(request.timeout_s),
        )
        try:
            return await _read(response, request, judge)
        finally:
            # Closes the connection when the body was not read to its end.
            response.release()
    except TimeoutError:
        detail = f"no whole answer within {request.timeout_s:g} s"
        return Reply(refusal=Refusal(cause=Cause.TIMEOUT, detail=detail))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Reply(refusal=_refusal_of(error), is_unreached=_is_unreached(error))


async def _read(response: aiohttp.ClientResponse, request: Request, judge: Judge) -> Reply:
    status, headers = response.status, response.headers
    refusal = judge(status, headers)
    body = b""
    if refusal is not None or status != 200:
        await _drain(response)
    else:
        try:
            body = await _body(response, request)
        except (_TooLargeError, CodingError, aiohttp.ClientPayloadError) as error:
            refusal = _refusal_of(error)
    return Reply(status=status, headers=headers, body=body, refusal=refusal)


async def _body(response: aiohttp.ClientResponse, request: Request) -> bytes:
    """Read the body as long as it keeps within bounds, also after decompression."""
    limit = request.max_bytes
    if (response.content_length or 0) > limit and not request.may_be_cut:
        raise _TooLargeError(f"{response.content_length} bytes announced")
    body = await _raw_body(response, limit)
    coding = response.headers.get("Content-Encoding")
    is_cut = len(body) > limit
    if coding and (request.may_be_cut or not is_cut):
        body = decoded(body, coding, limit + 1, may_be_cut=request.may_be_cut)
        is_cut = len(body) > limit
    if not is_cut:
        return body
    if not request.may_be_cut:
        raise _TooLargeError(f"more than {limit} bytes")
    return body[:limit]


async def _raw_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body as sent; more than ``limit`` bytes when it is longer than that."""
    content = response.content
    chunk = await content.readany()
    if content.at_eof():
        return chunk
    chunks, size = [chunk], len(chunk)
    while size <= limit and (chunk := await content.readany()):
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read a small body away, so that the next request can use the connection."""
    if (response.content_length or 0) > _DRAINED_BYTES:
        return
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(_DRAINED_S):
            await _raw_body(response, _DRAINED_BYTES)


class _TooLargeError(ValueError):
    """The body is longer than wanted."""


@lru_cache(maxsize=256)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)


def _refusal_of(error: Exception) -> Refusal:
    """Return the cause of a failed request; the first kind that fits counts."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    # The text of these errors repeats the URL, whose query may be secret.
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else inner
    detail = one_line(text) or type(inner).__name__
    if isinstance(inner, OSError) and inner.errno in _OURS:
        return Refusal(cause=Cause.UNEXPECTED, detail=detail)
    for kind, cause in _KINDS:
        if isinstance(inner, kind) or isinstance(error, kind):
            return Refusal(cause=cause, detail=detail)
    return Refusal(cause=Cause.UNEXPECTED, detail=one_line(f"{type(error).__name__}: {text}"))


def _is_unreached(error: Exception) -> bool:
    """Say whether no packet got as far as the host; a private address is none of that."""
    if not isinstance(error, aiohttp.ClientConnectorError):
        return False
    if isinstance(error.os_error, PrivateAddressError):
        return False
    return isinstance(error, aiohttp.ClientConnectorDNSError) or error.os_error.errno in _NO_WAY


_KINDS: tuple[tuple[type[Exception], Cause], ...] = (
    (PrivateAddressError, Cause.PRIVATE_ADDRESS),
    (_TooLargeError, Cause.TOO_LARGE),
    (CodingError, Cause.TRUNCATED),
    (aiohttp.ClientPayloadError, Cause.TRUNCATED),
    (aiohttp.ClientConnectorDNSError, Cause.UNKNOWN_HOST),
    (aiohttp.ClientResponseError, Cause.HTTP_ERROR),
    (aiohttp.ClientConnectionError, Cause.CONNECTION_FAILED),
    (OSError, Cause.CONNECTION_FAILED),
    # Such as a host name with a label that is too long.
    (ValueError, Cause.BAD_URL),
)
