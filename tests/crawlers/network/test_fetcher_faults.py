"""What a fetch makes of servers that are broken, busy, hostile or gone."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from crawlers.causes import Cause
from crawlers.network.answer import Answer

_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _fetch(network: Any, routes: dict[str, Any], *paths: str, **keys: Any) -> list[Answer]:
    async def scenario() -> list[Answer]:
        async with network.site(routes=routes) as site, network.fetcher() as door:
            return [await door.fetch(network.ask(site.url + path, **keys)) for path in paths]

    return asyncio.run(scenario())


def _sending(*parts: bytes, closing: bool = True, pause_s: float = 0.0) -> Any:
    """A route that writes parts and then closes the connection."""

    async def write(_asked: Any, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        if closing:
            writer.close()

    return write


def _endless(part: bytes, pause_s: float) -> Any:
    async def write(_asked: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(_CHUNKED)
        while True:
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
            await asyncio.sleep(pause_s)

    return write


def test_truncated_bodies(network: Any) -> None:
    routes = {
        "/short": _sending(network.reply(b"abc", length=10)),
        "/unended": _sending(_CHUNKED + b"3\r\nabc\r\n"),
        "/whole": _sending(_CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"),
        "/until-close": _sending(b"HTTP/1.1 200 OK\r\n\r\nabc"),
    }
    answers = _fetch(network, routes, *routes)
    assert [one.cause for one in answers] == [Cause.TRUNCATED, Cause.TRUNCATED, None, None]
    assert [one.body for one in answers] == [b"", b"", b"abc", b"abc"]
    assert answers[0].status == 200


def test_bodies_beyond_the_limit_are_given_up(network: Any) -> None:
    routes = {
        "/exact": network.reply(b"x" * 1000),
        "/announced": network.reply(b"x" * 1001),
        "/chunked": _endless(b"x" * 500, 0),
    }
    exact, *others = _fetch(network, routes, *routes, max_bytes=1000)
    assert exact.body == b"x" * 1000
    assert [one.cause for one in others] == [Cause.TOO_LARGE] * 2
    assert [one.body for one in others] == [b"", b""]


def test_a_slow_endless_body_ends_with_the_time_limit(network: Any) -> None:
    [answer] = _fetch(network, {"/a": _endless(b"x", 0.02)}, "/a", timeout_s=0.3)
    assert (answer.cause, answer.detail) == (Cause.TIMEOUT, "no whole answer within 0.3 s")


def test_a_server_that_says_nothing_ends_with_the_time_limit(network: Any) -> None:
    routes = {"/a": _sending(b"", closing=False, pause_s=5)}
    [answer] = _fetch(network, routes, "/a", timeout_s=0.2)
    assert answer.cause is Cause.TIMEOUT


def test_compressed_bodies_are_read_within_the_limit(network: Any) -> None:
    page, bomb = b"<html>" * 100, gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    coded = "Content-Encoding: gzip"
    routes = {
        "/page": network.reply(gzip.compress(page), 200, coded),
        "/zlib": network.reply(zlib.compress(page), 200, "Content-Encoding: deflate"),
        "/parts": network.reply(gzip.compress(page) * 2, 200, coded),
        "/bomb": network.reply(bomb, 200, coded),
        "/cut": network.reply(gzip.compress(page)[:-9], 200, coded),
        "/wrong": network.reply(b"not gzip at all", 200, coded),
        "/other": network.reply(b"x", 200, "Content-Encoding: br"),
    }
    answers = _fetch(network, routes, *routes, accept="text/html")
    assert [one.body for one in answers[:3]] == [page, page, page * 2]
    assert [one.cause for one in answers[3:]] == [Cause.TOO_LARGE, *[Cause.TRUNCATED] * 3]
    assert answers[6].detail == "content encoding 'br' was not asked for"


@pytest.mark.parametrize(
    ("sent", "cause"),
    [
        (b"", Cause.CONNECTION_FAILED),
        (b"HTTP/1.1 200 OK\r\nContent-Le", Cause.CONNECTION_FAILED),
        (b"\x00\x01 nonsense\r\n\r\n", Cause.HTTP_ERROR),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n", Cause.HTTP_ERROR),
        (b"HTTP/1.1 200 OK\r\n" + b"A: x\r\n" * 10_000 + b"\r\n", Cause.HTTP_ERROR),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", Cause.HTTP_ERROR),
        (_CHUNKED + b"nonsense\r\nabc\r\n0\r\n\r\n", Cause.HTTP_ERROR),
    ],
)
def test_what_is_no_http(network: Any, sent: bytes, cause: Cause) -> None:
    [answer] = _fetch(network, {"/a": _sending(sent)}, "/a")
    assert answer.cause is cause
    assert answer.detail is not None
    assert len(answer.detail) <= 200
    assert answer.detail.isprintable()
    assert "/a" not in answer.detail


def test_a_body_that_is_no_http_after_a_while(network: Any) -> None:
    parts = (_CHUNKED + b"3\r\nabc\r\n", b"nonsense\r\nabc\r\n0\r\n\r\n")
    routes = {"/a": _sending(*parts, pause_s=0.05)}
    [answer] = _fetch(network, routes, "/a", timeout_s=0.3)
    # aiohttp 3.14 tells nobody who reads the body, so this takes until the time limit.
    assert answer.cause in (Cause.TRUNCATED, Cause.HTTP_ERROR, Cause.TIMEOUT)


def test_headers_that_are_no_text_become_text(network: Any) -> None:
    odd = b"Content-Type: a\xff\xc3\xa4\r\nContent-Length"
    [answer] = _fetch(network, {"/a": network.reply(b"x").replace(b"Content-Length", odd)}, "/a")
    assert answer.cause is None
    assert answer.content_type == "a�ä"


def test_a_certificate_that_nobody_vouches_for(network: Any, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))

    async def scenario() -> Answer:
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", ssl=context)
        port = server.sockets[0].getsockname()[1]
        async with server, network.fetcher() as door:
            return await door.fetch(network.ask(f"https://localhost:{port}/a"))

    answer = asyncio.run(scenario())
    assert answer.cause is Cause.CONNECTION_FAILED
    assert "certificate verify failed" in str(answer.detail)


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    key_text = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "site.pem"
    path.write_bytes(certificate.public_bytes(encoding) + key_text)
    return path


def test_a_port_where_nobody_listens(network: Any) -> None:
    async def scenario() -> tuple[str, Answer]:
        async with network.site() as site:
            url = site.url
        async with network.fetcher() as door:
            return url, await door.fetch(network.ask(f"{url}/a"))

    _, answer = asyncio.run(scenario())
    assert answer.cause is Cause.CONNECTION_FAILED
    assert answer.detail is not None
    assert answer.detail.startswith("robots.txt: ")


def test_a_name_without_address(network: Any) -> None:
    [answer] = network.answers([network.ask("http://name.invalid/a")])
    assert answer.cause is Cause.UNKNOWN_HOST


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..example", "x" * 300])
def test_a_name_that_can_have_no_address(network: Any, name: str) -> None:
    [answer] = network.answers([network.ask(f"http://{name}/a")])
    assert answer.cause in (Cause.UNKNOWN_HOST, Cause.BAD_URL)


def test_failures_that_may_pass_are_tried_again(network: Any) -> None:
    told: list[str] = []

    def first(failure: bytes) -> Any:
        async def write(asked: Any, writer: asyncio.StreamWriter) -> None:
            is_first = asked.path not in told
            told.append(asked.path)
            writer.write(failure if is_first else network.reply(b"x"))
            if is_first:
                writer.close()

        return write

    routes = {
        "/503": first(network.reply(b"", 503)),
        "/429": first(network.reply(b"", 429, "Retry-After: 0")),
        "/lost": first(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
        "/404": first(network.reply(b"", 404)),
        "/501": first(network.reply(b"", 501)),
    }
    answers = _fetch(network, routes, *routes, retries=1)
    assert [one.status for one in answers] == [200, 200, 200, 404, 501]


def test_retry_after_is_kept_for_the_whole_host(network: Any) -> None:
    async def scenario() -> None:
        routes: dict[str, Any] = {"/a": network.reply(b"x")}

        async def busy(_asked: Any, writer: asyncio.StreamWriter) -> None:
            routes["/busy"] = network.reply(b"y")
            writer.write(network.reply(b"", 429, "Retry-After: 1"))

        routes["/busy"] = busy
        async with network.site(routes=routes) as site, network.fetcher() as door:
            again = asyncio.create_task(door.fetch(network.ask(f"{site.url}/busy", retries=1)))
            while not site.paths():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            other = await door.fetch(network.ask(f"{site.url}/a"))
            assert (other.body, (await again).body) == (b"x", b"y")
            first = site.asked[2]
            assert first.path == "/busy"
            assert all(later.at - first.at > 0.95 for later in site.asked[3:])
            assert len(site.asked) == 5

    asyncio.run(scenario())


def test_nobody_waits_for_a_retry_after_of_days(network: Any) -> None:
    busy = network.reply(b"", 429, "Retry-After: 200000")
    routes = {"/a": busy, "/b": network.reply(b"x")}
    answers = _fetch(network, routes, "/a", "/b", retries=3)
    assert [(one.cause, one.status) for one in answers] == [
        (Cause.RATE_LIMITED, 429),
        (Cause.RATE_LIMITED, None),
    ]


def test_a_dead_host_is_given_up_and_all_who_wait_are_told(network: Any) -> None:
    async def scenario() -> None:
        async with network.site() as site:
            url = site.url
        loop = asyncio.get_running_loop()
        async with network.fetcher() as door:
            began = loop.time()
            asks = [network.ask(f"{url}/{number}", retries=2) for number in range(300)]
            answers = await asyncio.gather(*(door.fetch(ask) for ask in asks))
            answers += [await door.fetch(ask) for ask in asks]
            assert loop.time() - began < 5
            [host] = door.hosts()
        causes = [one.cause for one in answers]
        assert set(causes) == {Cause.CONNECTION_FAILED, Cause.HOST_DOWN}
        assert causes[-280:] == [Cause.HOST_DOWN] * 280
        assert host.is_down
        # Five failures make it suspect, then two probes fail.
        assert host.asked == 7

    asyncio.run(scenario())


def test_a_host_that_comes_back_is_asked_again(network: Any) -> None:
    async def scenario() -> None:
        routes = {"/a": network.reply(b"", 500)}
        async with network.site(routes=routes) as site, network.fetcher() as door:
            asks = [network.ask(f"{site.url}/a") for _ in range(5)]
            assert {(await door.fetch(ask)).status for ask in asks} == {500}
            [host] = door.hosts()
            assert (host.is_suspect, host.is_down) == (True, False)
            routes["/a"] = network.reply(b"x")
            answers = await asyncio.gather(*(door.fetch(ask) for ask in asks))
            assert [one.body for one in answers] == [b"x"] * 5
            [host] = door.hosts()
            assert not host.is_suspect

    asyncio.run(scenario())


def test_one_dead_host_does_not_hold_up_another(network: Any) -> None:
    async def scenario() -> None:
        never = _sending(b"", closing=False, pause_s=30)
        dead = network.site(routes={"/robots.txt": never})
        routes = {f"/{n}": network.reply(b"x") for n in range(50)}
        async with dead, network.site(routes=routes) as site, network.fetcher() as door:
            stuck = [
                asyncio.create_task(door.fetch(network.ask(f"{dead.url}/{n}", timeout_s=20)))
                for n in range(50)
            ]
            answers = await asyncio.gather(
                *(door.fetch(network.ask(f"{site.url}/{n}")) for n in range(50))
            )
            assert {one.body for one in answers} == {b"x"}
            assert not any(task.done() for task in stuck)
            for task in stuck:
                task.cancel()

    asyncio.run(scenario())
