"""Real crawls of what sites should not answer: each answer has its cause in the ledger."""

from __future__ import annotations

import gzip
import re
import socket
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import yaml

from crawlers.ledger.view import LedgerView
from crawlers.run import crawl, list_crawl


def test_odd_answers_each_have_their_cause(
    odd_site, second_odd_site, respond, listing, image_bytes, crawl_files, job_of
) -> None:
    photo = image_bytes(1)
    routes = {
        "/fine": respond(photo, Content_Type="text/plain"),
        "/moved": respond(status=301, Location="/fine"),
        "/empty": respond(b""),
        "/large": respond(b"\xff\xd8\xff" + b"x" * 60_000),
        "/endless": _endless,
        "/stalled": lambda _handler: time.sleep(2.0),
        "/hung-up": lambda handler: handler.connection.shutdown(socket.SHUT_RDWR),
        "/loop": respond(status=302, Location="/loop"),
        "/lost": respond(status=302),
        "/to-file": respond(status=302, Location="file:///etc/passwd"),
        "/to-other": respond(status=307, Location=f"{second_odd_site.url}/secret"),
        "/members": respond(status=403),
        "/busy": respond(status=429),
        "/down": respond(status=500),
        "/bomb": respond(_bomb(), Content_Encoding="gzip"),
    }
    odd_site.routes |= routes
    links = [
        *routes,
        f"{second_odd_site.url}/secret",
        "ftp://x/y",
        "data:image/png;base64,AA",
        "//[x",
    ]
    odd_site.routes["/people/ada"] = listing(links, following="/pdf")
    odd_site.routes["/pdf"] = respond(b"%PDF-1.7", Content_Type="application/pdf")
    job = job_of(crawl_files([odd_site], max_image_bytes=50_000, timeout_s=0.7))
    result = crawl(job)

    assert _causes(job.out / "1-of-1", odd_site.url) == {
        "/fine": None,
        "/moved": None,
        "/empty": "empty",
        "/large": "too_large",
        "/endless": "too_large",
        "/bomb": "too_large",
        "/stalled": "timeout",
        "/hung-up": "connection_failed",
        "/loop": "too_many_redirects",
        "/lost": "bad_redirect",
        "/to-file": "bad_redirect",
        "/to-other": "redirect_off_site",
        "/members": "refused",
        "/busy": "rate_limited",
        "/down": "http_error",
        f"{second_odd_site.url}/secret": "off_site",
        "ftp://x/y": "unsupported_scheme",
        "data:image/png;base64,AA": "unsupported_scheme",
        "//[x": "bad_url",
    }
    assert result.counts.pages_failed == {"not_a_page": 1}
    assert second_odd_site.requests == []
    records = list(list_crawl(job.out, "w"))
    assert [r.source_uri for r in records] == [f"{odd_site.url}/fine", f"{odd_site.url}/moved"]
    assert records[0].image_id == records[1].image_id
    agents = {headers["User-Agent"] for headers in odd_site.headers}
    assert len(agents) == 1
    assert re.fullmatch(r"Winnow/\S+ \(\+mailto:team@example\.org\)", agents.pop())
    assert not any("Cookie" in headers for headers in odd_site.headers)


def _causes(folder: Path, base: str) -> dict[str, str | None]:
    """Image URL below ``base`` → why it failed, as the ledger says it."""
    with LedgerView.read(folder) as ledger:
        images = [one for one in ledger.accounts() if not one.is_page]
    assert all(one.state != "pending" for one in images)
    return {one.url.removeprefix(base): one.cause for one in images}


def _endless(handler: BaseHTTPRequestHandler) -> None:
    """Send a body without an announced length until the other side hangs up."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    with suppress(ConnectionError):
        for _ in range(10_000):
            handler.wfile.write(b"\xff\xd8\xff" + b"x" * 9_997)


def _bomb() -> bytes:
    return gzip.compress(b"\xff\xd8\xff" + bytes(10_000_000))


def test_addresses_that_are_not_public_are_never_connected_to(
    odd_site, crawl_files, job_of
) -> None:
    port = odd_site.host.rpartition(":")[2]
    forms = [f"localhost:{port}", f"0x7f.1:{port}", f"0x7f000001:{port}"]
    people = "identity,slug\nAda,ada\n"
    identities, sites = crawl_files([odd_site] * len(forms), people, allow_private=False)
    content = yaml.safe_load(sites.read_text())
    for site, form in zip(content["sites"], forms, strict=True):
        site |= {"start_url": f"http://{form}/people/{{slug}}", "allowed_hosts": [form]}
    sites.write_text(yaml.safe_dump(content))
    result = crawl(job_of((identities, sites)))
    assert result.counts.pages_failed == {"private_address": len(forms)}
    assert result.without_images == ("Ada",)
    assert odd_site.requests == []
