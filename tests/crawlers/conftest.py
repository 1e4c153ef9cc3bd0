"""Real local sites to crawl: the demo's site over small images, and one with odd answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from aiohttp.abc import AbstractResolver, ResolveResult

from crawlers.run import CrawlJob
from facedata.sources import CrawlSource, UrlsSource

Respond = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class OddSite:
    """A site made of functions that answer; ``requests`` and ``headers`` say what was asked."""

    url: str
    host: str
    routes: dict[str, Respond] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def image_bytes() -> Callable[[int], bytes]:
    """A small JPEG of noise, different for each seed."""

    def encode(seed: int) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 255, (24, 20, 3), dtype=np.uint8)
        encoded: bytes = cv2.imencode(".jpg", pixels)[1].tobytes()
        return encoded

    return encode


@pytest.fixture
def small_web(tmp_path: Path, image_bytes: Callable[[int], bytes]) -> Path:
    """A web in the demo's layout: four odd names, 13 photos each."""
    web = tmp_path / "web"
    names = {"zoe": "Zoë O’Malley", "quote": 'Ana "Bee", jr.', "dots": "..", "long": "x" * 300}
    for number, slug in enumerate(names):
        folder = web / "site" / "photos" / slug
        folder.mkdir(parents=True)
        for photo in range(13):
            (folder / f"{photo:03}.jpg").write_bytes(image_bytes(100 * number + photo))
    people = [{"name": name, "slug": slug, "person_id": slug} for slug, name in names.items()]
    (web / "truth.json").write_text(json.dumps({"people": people}))
    return web


class Names(AbstractResolver):
    """Knows every name as one of loopback; none while ``is_out``, and never one of ``gone…``."""

    def __init__(self) -> None:
        self.is_out = False
        self.failures = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        assert family == socket.AF_UNSPEC
        if self.is_out or host.startswith("gone"):
            self.failures += 1
            raise OSError(socket.EAI_AGAIN, "Temporary failure in name resolution")
        kinds: dict[str, Any] = {"family": socket.AF_INET, "proto": 0, "flags": 0}
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, **kinds)]

    async def close(self) -> None:
        pass


@pytest.fixture
def names() -> Names:
    """Look up host names without the system's resolver; a test may let the network go out."""
    return Names()


@pytest.fixture
def odd_site() -> Iterator[OddSite]:
    """A running site without pages; a test adds its routes."""
    with _serving() as site:
        yield site


@pytest.fixture
def second_odd_site() -> Iterator[OddSite]:
    """Another one, on another port."""
    with _serving() as site:
        yield site


@contextmanager
def _serving() -> Iterator[OddSite]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.requests.append(self.path)
            site.headers.append(dict(self.headers.items()))
            site.routes.get(self.path, _missing)(self)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    host = f"127.0.0.1:{server.server_port}"
    site = OddSite(url=f"http://{host}", host=host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


def _missing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


@pytest.fixture
def respond() -> Callable[..., Respond]:
    """Make a route that sends a body: ``respond(body, status, **headers)``."""

    def make(body: bytes = b"", status: int = 200, **headers: str) -> Respond:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            fields = {"Content-Length": str(len(body)), "Content-Type": "image/jpeg"} | {
                name.replace("_", "-"): value for name, value in headers.items()
            }
            for name, value in fields.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)

        return answer

    return make


@pytest.fixture
def listing(respond: Callable[..., Respond]) -> Callable[..., Respond]:
    """Make a listing page of image links, with a link to the next page when there is one."""

    def make(links: list[str], following: str | None = None) -> Respond:
        images = "".join(f'<img src="{link}">' for link in links)
        further = f'<a rel="next" href="{following}">on</a>' if following else ""
        return respond(f"<html>{images}{further}</html>".encode(), Content_Type="text/html")

    return make


@pytest.fixture
def job_of(tmp_path: Path) -> Callable[..., CrawlJob]:
    """Make a crawl job for the two files of a crawl, or for a URL list.

    ``job_of(files, out="out", licences=(), only=None, **source)``; ``files`` of a list is its path.
    """

    def make(files: tuple[Path, Path] | Path, out: str = "out", **keys: Any) -> CrawlJob:
        job_keys = {key: keys.pop(key) for key in ("licences", "only", "name") if key in keys}
        said = {"author": "The tests", "purpose": "Testing the crawler"} | keys
        source: CrawlSource | UrlsSource
        if isinstance(files, tuple):
            source = CrawlSource(identities=str(files[0]), sites=str(files[1]), **said)
        else:
            own = {"delay_s": 0, "timeout_s": 2, "retries": 0, "contact": "mailto:t@example.org"}
            source = UrlsSource(path=str(files), **(own | said))
        return CrawlJob(source=source, out=tmp_path / out, **job_keys)

    return make


@pytest.fixture
def crawl_files(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Write an identity list and a sites file for some odd sites; returns both paths."""

    def write(
        sites: list[OddSite], people: str = "identity,slug\nAda,ada\n", **keys: Any
    ) -> tuple[Path, Path]:
        defaults = {
            "images": {"css": "img", "attribute": "src"},
            "next_page": {"css": "a[rel=next]", "attribute": "href"},
            "allow_private": True,
            "delay_s": 0,
            "timeout_s": 2,
            "retries": 0,
        }
        chosen = {key: value for key, value in (defaults | keys).items() if value is not None}
        described = [
            {
                "name": f"site-{number}",
                "start_url": f"{site.url}/people/{{slug}}",
                "allowed_hosts": [site.host],
                **chosen,
            }
            for number, site in enumerate(sites)
        ]
        identities, sites_path = tmp_path / "people.csv", tmp_path / "sites.yaml"
        identities.write_text(people, "utf-8")
        content = {"contact": "mailto:team@example.org", "sites": described}
        sites_path.write_text(yaml.safe_dump(content), "utf-8")
        return identities, sites_path

    return write
