"""What a fetch brings back from a server that means well: bodies, redirects, rules, opt-outs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crawlers.causes import Cause
from crawlers.network.answer import Answer, Validators

Fetched = Callable[..., tuple[list[Answer], Any]]


@pytest.fixture
def fetched(network: Any) -> Fetched:
    """Serve routes and fetch paths from them, one after the other; returns answers and site."""

    def run(routes: dict[str, Any], *paths: str, **keys: Any) -> tuple[list[Answer], Any]:
        async def scenario() -> tuple[list[Answer], Any]:
            async with network.site(routes=routes) as site, network.fetcher() as door:
                asks = [network.ask(site.url + path, **keys) for path in paths]
                return [await door.fetch(ask) for ask in asks], site

        return asyncio.run(scenario())

    return run


def test_a_body_with_its_evidence(network: Any, fetched: Fetched) -> None:
    sent = network.reply(b"bytes", 200, "Content-Type: image/png", 'ETag: "a"', "X-A: 1", "X-A: 2")
    [answer], site = fetched({"/a?b=%27+c": sent}, "/a?b=%27+c#part", accept="image/*")
    assert answer.cause is None
    assert (answer.status, answer.body, answer.final_url) == (200, b"bytes", None)
    assert answer.url == f"{site.url}/a?b=%27+c#part"
    assert (answer.content_type, answer.validators) == ("image/png", Validators(etag='"a"'))
    assert answer.headers["x-a"] == "1, 2"
    assert answer.robots == "none"
    assert answer.fetched_at.endswith("+00:00")
    headers = site.asked[-1].headers
    assert headers["user-agent"] == "Winnow/0.1 (+mailto:team@example.org)"
    assert (headers["accept"], headers["accept-encoding"]) == ("image/*", "identity")
    assert "cookie" not in headers
    assert "referer" not in headers


def test_one_connection_is_kept_and_no_cookie_comes_back(network: Any, fetched: Fetched) -> None:
    routes = {f"/{n}": network.reply(b"x", 200, "Set-Cookie: a=b") for n in range(5)}
    routes["/gone"] = network.reply(b"sorry" * 1000, 404)
    answers, site = fetched(routes, "/0", "/1", "/gone", "/2", "/3", "/4")
    assert [answer.status for answer in answers] == [200, 200, 404, 200, 200, 200]
    assert site.connections == 1
    assert all("cookie" not in one.headers for one in site.asked)


def test_what_did_not_change_is_not_sent_again(network: Any, fetched: Fetched) -> None:
    routes = {"/a": network.reply(b"", 304, 'ETag: "2"')}
    known = Validators(etag='"1"', last_modified="Sat, 01 Jan 2022 00:00:00 GMT")
    [answer], site = fetched(routes, "/a", validators=known, referrer="http://example.org/p")
    assert (answer.cause, answer.is_unchanged, answer.status) == (None, True, 304)
    headers = site.asked[-1].headers
    assert headers["if-none-match"] == '"1"'
    assert headers["if-modified-since"] == "Sat, 01 Jan 2022 00:00:00 GMT"
    assert headers["referer"] == "http://example.org/p"


def test_a_304_that_nobody_asked_for_is_an_error(network: Any, fetched: Fetched) -> None:
    [answer], _ = fetched({"/a": network.reply(b"", 304)}, "/a")
    assert (answer.cause, answer.is_unchanged) == (Cause.HTTP_ERROR, False)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (404, Cause.NOT_FOUND),
        (410, Cause.NOT_FOUND),
        (403, Cause.REFUSED),
        (451, Cause.REFUSED),
        (429, Cause.RATE_LIMITED),
        (500, Cause.HTTP_ERROR),
        (206, Cause.HTTP_ERROR),
        (300, Cause.HTTP_ERROR),
    ],
)
def test_other_statuses(network: Any, fetched: Fetched, status: int, cause: Cause) -> None:
    [answer], _ = fetched({"/a": network.reply(b"words", status)}, "/a")
    assert (answer.cause, answer.status, answer.body) == (cause, status, b"")


def test_redirects_are_followed_to_the_end(network: Any, fetched: Fetched) -> None:
    routes = {
        "/a": network.reply(b"", 301, "Location: b/../c d?x=1#part"),
        "/c%20d?x=1": network.reply(b"", 307, "Location: /d"),
        "/d": network.reply(b"bytes"),
    }
    [answer], site = fetched(routes, "/a")
    assert (answer.cause, answer.body, answer.final_url) == (None, b"bytes", f"{site.url}/d")
    assert site.paths() == ["/a", "/c%20d?x=1", "/d"]


def test_a_loop_ends(network: Any, fetched: Fetched) -> None:
    routes = {
        "/a": network.reply(b"", 302, "Location: /b"),
        "/b": network.reply(b"", 302, "Location: /a"),
    }
    [answer], site = fetched(routes, "/a", max_redirects=4)
    assert answer.cause is Cause.TOO_MANY_REDIRECTS
    assert len(site.paths()) == 5


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "data:,x",
        "ftp://h.example/",
        "",
        "https://",
        "http://u:p@h/",
        "//:9",
    ],
)
def test_bad_redirects_are_not_followed(network: Any, fetched: Fetched, location: str) -> None:
    [answer], site = fetched({"/a": network.reply(b"", 302, f"Location: {location}")}, "/a")
    assert (answer.cause, answer.status) == (Cause.BAD_REDIRECT, 302)
    assert site.paths() == ["/a"]


def test_a_redirect_off_the_site_is_not_followed_and_its_secrets_are_not_told(
    network: Any, fetched: Fetched
) -> None:
    there = "Location: http://u:pw@elsewhere.example/x?token=secret#also"
    routes = {"/a": network.reply(b"", 302, there.replace("u:pw@", ""))}
    [answer], _ = fetched(routes, "/a", allows=lambda url: "elsewhere" not in url)
    assert answer.cause is Cause.REDIRECT_OFF_SITE
    assert answer.detail == "to http://elsewhere.example/x"


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://", Cause.BAD_URL),
        ("pictures/1.jpg", Cause.BAD_URL),
        ("http://h:0/", Cause.BAD_URL),
        ("http://user:word@h/", Cause.BAD_URL),
        ("file:///etc/passwd", Cause.UNSUPPORTED_SCHEME),
        ("data:image/png;base64,AA", Cause.UNSUPPORTED_SCHEME),
        ("ftp://h/a", Cause.UNSUPPORTED_SCHEME),
        ("http://elsewhere.example/", Cause.OFF_SITE),
    ],
)
def test_what_is_refused_before_anything_is_asked(network: Any, url: str, cause: Cause) -> None:
    ask = network.ask(url, allows=lambda url: "elsewhere" not in url)
    [answer] = network.answers([ask])
    assert (answer.cause, answer.status, answer.url) == (cause, None, url)


def test_robots_txt_is_read_once_and_obeyed_also_after_a_redirect(
    network: Any, fetched: Fetched
) -> None:
    rules = b"\xef\xbb\xbfUser-agent: *\nDisallow: /\n\nUser-agent: winnow\nDisallow: /no\n"
    routes = {
        "/robots.txt": network.reply(rules),
        "/yes": network.reply(b"x"),
        "/hop": network.reply(b"", 302, "Location: /no/2"),
    }
    answers, site = fetched(routes, "/yes", "/no/1", "/hop", "/a/../no")
    assert [answer.cause for answer in answers] == [None] + [Cause.ROBOTS_FORBIDDEN] * 3
    assert [answer.robots for answer in answers] == ["allowed"] + ["forbidden"] * 3
    assert site.paths() == ["/yes", "/hop"]
    assert [one.path for one in site.asked].count("/robots.txt") == 1


def test_those_who_wait_for_the_same_robots_txt_share_it(network: Any) -> None:
    async def slowly(_asked: Any, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(network.reply(b"User-agent: *\nDisallow: /no"))

    async def scenario() -> None:
        routes = {"/robots.txt": slowly, "/a": network.reply(b"x")}
        async with network.site(routes=routes) as site, network.fetcher() as door:
            paths = ["/a", "/no"] * 10
            answers = await asyncio.gather(
                *(door.fetch(network.ask(site.url + path)) for path in paths)
            )
        assert {answer.cause for answer in answers[::2]} == {None}
        assert {answer.cause for answer in answers[1::2]} == {Cause.ROBOTS_FORBIDDEN}
        assert [one.path for one in site.asked].count("/robots.txt") == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_robots_txt_that_cannot_be_had_forbids(
    network: Any, fetched: Fetched, status: int
) -> None:
    routes = {"/robots.txt": network.reply(b"", status), "/a": network.reply(b"x")}
    [answer, again], site = fetched(routes, "/a", "/a")
    assert answer.cause is again.cause is Cause.ROBOTS_FORBIDDEN
    assert answer.detail == f"robots.txt answered {status}"
    assert [one.path for one in site.asked] == ["/robots.txt"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_robots_txt_that_is_not_there_forbids_nothing(
    network: Any, fetched: Fetched, status: int
) -> None:
    routes = {"/robots.txt": network.reply(b"", status), "/a": network.reply(b"x")}
    [answer], _ = fetched(routes, "/a")
    assert (answer.cause, answer.robots) == (None, "none")


def test_redirects_of_robots_txt(network: Any, fetched: Fetched) -> None:
    routes = {
        "/robots.txt": network.reply(b"", 301, "Location: /r/5"),
        **{f"/r/{n}": network.reply(b"", 301, f"Location: /r/{n - 1}") for n in range(2, 9)},
        "/r/1": network.reply(b"User-agent: *\nDisallow: /"),
        "/a": network.reply(b"x"),
    }
    [answer], _ = fetched(routes, "/a")
    assert answer.cause is Cause.ROBOTS_FORBIDDEN
    routes["/robots.txt"] = network.reply(b"", 301, "Location: /r/6")
    [answer], _ = fetched(routes, "/a")
    assert (answer.cause, answer.robots) == (None, "none")


def test_of_a_huge_robots_txt_the_first_500_kib_count(network: Any, fetched: Fetched) -> None:
    filling = b"# filling\n" * 60_000
    before = b"User-agent: *\nDisallow: /early\n" + filling + b"Disallow: /late\n"
    routes = {
        "/robots.txt": network.reply(before),
        "/early": network.reply(b"x"),
        "/late": network.reply(b"x"),
    }
    [early, late], _ = fetched(routes, "/early", "/late")
    assert (early.cause, late.cause) == (Cause.ROBOTS_FORBIDDEN, None)


def test_the_crawl_delay_is_kept(network: Any, fetched: Fetched) -> None:
    routes = {
        "/robots.txt": network.reply(b"User-agent: winnow\nCrawl-delay: 0.2\n"),
        **{f"/{n}": network.reply(b"x") for n in range(3)},
    }
    _, site = fetched(routes, "/0", "/1", "/2")
    first, _, third = [one.at for one in site.asked if one.path in {"/0", "/1", "/2"}]
    assert third - first > 0.35


@pytest.mark.parametrize(
    ("header", "cause", "detail"),
    [
        ("X-Robots-Tag: noai", Cause.OPTED_OUT, "X-Robots-Tag: noai"),
        ("X-Robots-Tag: otherbot: noai", None, None),
        ("X-Robots-Tag: Winnow: noimageai", Cause.OPTED_OUT, "X-Robots-Tag: noimageai"),
        ("TDM-Reservation: 1", Cause.TDM_RESERVED, "header"),
        ("TDM-Reservation: 0", None, None),
    ],
)
def test_opt_outs_in_headers(
    network: Any, fetched: Fetched, header: str, cause: Cause | None, detail: str | None
) -> None:
    routes = {"/a": network.reply(b"x", 200, "X-Robots-Tag: nofollow", header)}
    [answer], site = fetched(routes, "/a")
    assert (answer.cause, answer.detail) == (cause, detail)
    assert answer.body == (b"" if cause else b"x")
    assert site.connections == 1


def test_tdm_reservations_in_the_hosts_file(network: Any, fetched: Fetched) -> None:
    rules = b"""[{"location": "/free/*.jpg$", "tdm-reservation": 0},
        {"location": "/", "tdm-reservation": 1, "tdm-policy": "https://example.org/p"}]"""
    routes = {
        "/.well-known/tdmrep.json": network.reply(rules),
        "/free/1.jpg": network.reply(b"x"),
    }
    [free, reserved], site = fetched(routes, "/free/1.jpg", "/free/1.jpg?x")
    assert (free.cause, reserved.cause) == (None, Cause.TDM_RESERVED)
    assert reserved.detail == "tdmrep.json, policy https://example.org/p"
    assert site.paths() == ["/free/1.jpg"]
    assert len(site.asked) == 3


def test_the_delay_and_the_concurrency_of_a_site_are_kept(network: Any) -> None:
    under_way = [0, 0]

    async def slowly(_asked: Any, writer: asyncio.StreamWriter) -> None:
        under_way[0] += 1
        under_way[1] = max(under_way)
        await asyncio.sleep(0.02)
        under_way[0] -= 1
        writer.write(network.reply(b"x"))

    async def scenario(**rules: Any) -> Any:
        async with network.site(routes={"/a": slowly}) as site, network.fetcher() as door:
            ask = network.ask(f"{site.url}/a", **rules)
            await asyncio.gather(*(door.fetch(ask) for _ in range(12)))
        return site

    asyncio.run(scenario(concurrency=3))
    assert under_way == [0, 3]
    site = asyncio.run(scenario(delay_s=0.03, concurrency=12))
    times = [one.at for one in site.asked]
    # The server may note the first request a little after it was sent.
    assert times[-1] - times[0] > 0.8 * 0.03 * (len(times) - 1)


def test_a_cancelled_fetch_frees_its_place(network: Any) -> None:
    async def never(_asked: Any, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async def scenario() -> None:
        routes = {"/never": never, "/a": network.reply(b"x")}
        async with network.site(routes=routes) as site, network.fetcher() as door:
            rules = {"concurrency": 1, "timeout_s": 60}
            stuck = asyncio.create_task(door.fetch(network.ask(f"{site.url}/never", **rules)))
            await asyncio.sleep(0.1)
            queued = asyncio.create_task(door.fetch(network.ask(f"{site.url}/a", **rules)))
            waiting = asyncio.create_task(door.fetch(network.ask(f"{site.url}/a", **rules)))
            await asyncio.sleep(0.02)
            queued.cancel()
            stuck.cancel()
            assert (await waiting).body == b"x"
            [host] = door.hosts()
            assert (host.in_flight, host.waiting) == (0, 0)
            with pytest.raises(asyncio.CancelledError):
                await stuck

    asyncio.run(scenario())


def test_hosts_tell_how_they_stand(network: Any) -> None:
    async def scenario() -> None:
        routes = {"/a": network.reply(b"x")}
        async with network.site(routes=routes) as site, network.fetcher() as door:
            for path in ("/a", "/b", "/c"):
                await door.fetch(network.ask(site.url + path, concurrency=2, delay_s=0.01))
            [host] = door.hosts()
        assert (host.host, host.asked) == (f"127.0.0.1:{site.port}", 5)
        assert host.refusals == {Cause.NOT_FOUND: 2}
        assert (host.concurrency, host.delay_s) == (2, 0.01)
        assert (host.is_suspect, host.is_down) == (False, False)

    asyncio.run(scenario())


def test_robots_txt_is_not_asked_about_calls_of_an_interface(
    network: Any, fetched: Fetched
) -> None:
    routes = {
        "/robots.txt": network.reply(b"User-agent: *\nDisallow: /w/\n"),
        "/w/api.php?a=b": network.reply(b"{}"),
        "/w/index.php": network.reply(b"x"),
    }
    [call, page], site = fetched(
        routes, "/w/api.php?a=b", "/w/index.php", is_api=lambda url: "/w/api.php" in url
    )
    assert (call.cause, call.robots, call.body) == (None, None, b"{}")
    assert (page.cause, page.robots) == (Cause.ROBOTS_FORBIDDEN, "forbidden")
    assert [one.path for one in site.asked][:2] == ["/w/api.php?a=b", "/robots.txt"]


def test_secrets_go_to_the_first_origin_only(network: Any) -> None:
    async def scenario() -> Any:
        async with network.site() as first, network.site() as other, network.fetcher() as door:
            first.routes["/a"] = network.reply(b"", 302, "Location: /b")
            first.routes["/b"] = network.reply(b"", 302, f"Location: {other.url}/c")
            other.routes["/c"] = network.reply(b"", 302, f"Location: {first.url}/d")
            first.routes["/d"] = network.reply(b"here")
            ask = replace(network.ask(f"{first.url}/a"), secrets={"X-Key": "v3ry-5ecret"})
            assert "5ecret" not in repr(ask)
            assert (await door.fetch(ask)).body == b"here"
            return tuple(
                [(one.path, one.headers.get("x-key")) for one in site.asked if len(one.path) == 2]
                for site in (first, other)
            )

    at_first, elsewhere = asyncio.run(scenario())
    # Whoever was sent away and comes back may have been sent by somebody else.
    assert at_first == [("/a", "v3ry-5ecret"), ("/b", "v3ry-5ecret"), ("/d", None)]
    assert elsewhere == [("/c", None)]
