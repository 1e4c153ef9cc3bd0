"""The demo's celebrity site on this machine: galleries of a rendered web over HTTP, with faults.

    with serve(folder, DEMO_FAULTS) as site:
        files = write_crawl_files(site, workspace)

``folder`` holds what ``demo.web_files`` rendered: ``site/photos/<slug>/<nnn>.jpg``, and
``truth.json`` for the listed names. Only 127.0.0.1 is listened on.
"""

from __future__ import annotations

import csv
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import jinja2
import yaml

from demo.site_faults import NO_FAULTS, FaultKind, FaultPlan, Faults, plan_faults
from facedata.errors import SourceError

PHOTOS_PER_PAGE = 8
_ROBOTS = "User-agent: *\nDisallow: /private/\n"
_ELSEWHERE = "http://elsewhere.example.invalid/lost.jpg"
_SIGN_IN = "<!doctype html><title>Sign in</title><p>Please sign in to see this picture.</p>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer; ``announced_bytes`` is the Content-Length when it is not the body's."""

    status: HTTPStatus = HTTPStatus.OK
    content_type: str = "text/html; charset=utf-8"
    body: bytes = b""
    location: str | None = None
    announced_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSite:
    """A running site. ``names`` maps slug to listed name; ``requests`` grows with each request."""

    url: str
    photos: Path
    names: Mapping[str, str]
    plan: FaultPlan
    requests: list[str] = field(default_factory=list)

    def answer(self, target: str) -> Answer:
        """Return what the site says to a request for ``target`` (path and query)."""
        parts = urlsplit(target)
        path = unquote(parts.path)
        fixed = {"/": self._index, "/robots.txt": _robots, "/style.css": _style}
        if path in fixed:
            return fixed[path]()
        if (kind := self.plan.bad.get(path)) is not None:
            return self._bad_answer(path, kind)
        section, _, rest = path.lstrip("/").partition("/")
        if section == "people" and rest in self.names:
            return self._person(rest, parse_qs(parts.query).get("page", ["1"])[0])
        if section == "photos" and path in self.plan.galleries.get(rest.partition("/")[0], ()):
            time.sleep(self.plan.slow.get(path, 0.0))
            return Answer(content_type="image/jpeg", body=(self.photos / rest).read_bytes())
        return _not_found()

    def _index(self) -> Answer:
        people = [
            {
                "name": name,
                "page": f"/people/{quote(slug)}",
                "photo_count": len(self._real_photos(slug)),
                "cover": quote(next(iter(self._real_photos(slug)), "")),
            }
            for slug, name in self.names.items()
        ]
        return _html("index.html", people=people)

    def _person(self, slug: str, page_text: str) -> Answer:
        gallery = self.plan.galleries[slug]
        page_count = max(1, -(-len(gallery) // PHOTOS_PER_PAGE))
        if not page_text.isdecimal() or not 1 <= int(page_text) <= page_count:
            return _not_found()
        page = int(page_text)
        first = (page - 1) * PHOTOS_PER_PAGE
        link = f"/people/{quote(slug)}?page="
        return _html(
            "person.html",
            name=self.names[slug],
            photo_count=len(gallery),
            page=page,
            page_count=page_count,
            first=first + 1,
            photos=[quote(path) for path in gallery[first : first + PHOTOS_PER_PAGE]],
            previous=f"{link}{page - 1}" if page > 1 else None,
            next=f"{link}{page + 1}" if page < page_count else None,
        )

    def _bad_answer(self, path: str, kind: FaultKind) -> Answer:
        slug = path.split("/")[2]
        if kind is FaultKind.NOT_AN_IMAGE:
            return Answer(content_type="image/jpeg", body=_SIGN_IN.encode())
        if kind is FaultKind.REDIRECT_OFF_SITE:
            return Answer(status=HTTPStatus.FOUND, location=_ELSEWHERE)
        if kind is FaultKind.NOT_FOUND:
            return _not_found()
        whole = (self.photos / self._real_photos(slug)[0].removeprefix("/photos/")).read_bytes()
        if kind is FaultKind.TRUNCATED:
            half = whole[: len(whole) // 2]
            return Answer(content_type="image/jpeg", body=half, announced_bytes=len(whole))
        return Answer(content_type="image/jpeg", body=whole)

    def _real_photos(self, slug: str) -> list[str]:
        return [path for path in self.plan.galleries[slug] if path not in self.plan.bad]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlFiles:
    """The two files a crawl of the site is described by."""

    identities: Path
    sites: Path


@contextmanager
def serve(folder: Path, faults: Faults = NO_FAULTS, *, port: int = 0) -> Iterator[DemoSite]:
    """Serve the web in ``folder`` until the block ends; port 0 takes any free one.

    Raises:
        SourceError: when ``folder`` holds no rendered web.
        OSError: when the port is taken.
    """
    photos = folder / "site" / "photos"
    names = _listed_names(folder)
    listed = {slug: _photo_paths(photos, slug) for slug in names}
    plan = plan_faults(listed, faults)
    server = _Server(("127.0.0.1", port), _Handler)
    server.site = DemoSite(
        url=f"http://127.0.0.1:{server.server_port}", photos=photos, names=names, plan=plan
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write_crawl_files(site: DemoSite, folder: Path) -> CrawlFiles:
    """Write ``people.csv`` and ``sites.yaml`` for a crawl of ``site`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    crawl_files = CrawlFiles(identities=folder / "people.csv", sites=folder / "sites.yaml")
    with crawl_files.identities.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["identity", "slug"])
        rows.writerows([name, slug] for slug, name in site.names.items())
    description = {
        "contact": "https://localhost/winnow-demo",
        "sites": [
            {
                "name": "limelight",
                "start_url": f"{site.url}/people/{{slug}}",
                "allowed_hosts": [urlsplit(site.url).netloc],
                "allow_private": True,
                "images": {"css": ".gallery figure img", "attribute": "src"},
                "next_page": {"css": "a[rel=next]", "attribute": "href"},
                # The site is this machine's own: no need to spare it.
                "delay_s": 0,
                "concurrency": 8,
                "timeout_s": 10,
                "retries": 1,
            }
        ],
    }
    text = yaml.safe_dump(description, sort_keys=False, allow_unicode=True)
    crawl_files.sites.write_text(text, "utf-8")
    return crawl_files


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    site: DemoSite


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self.server.site.requests.append(self.path)
        answer = self.server.site.answer(self.path)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        announced = len(answer.body) if answer.announced_bytes is None else answer.announced_bytes
        self.send_header("Content-Length", str(announced))
        if answer.location is not None:
            self.send_header("Location", answer.location)
        self.end_headers()
        try:
            self.wfile.write(answer.body)
            self.wfile.flush()
        except ConnectionError:
            self.close_connection = True
        self.close_connection |= announced != len(answer.body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the base class's name)
        """Say nothing: requests are kept in ``DemoSite.requests``."""


@cache
def _templates() -> jinja2.Environment:
    loader = jinja2.PackageLoader("demo", "site_pages")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )


def _html(template: str, **facts: object) -> Answer:
    return Answer(body=_templates().get_template(template).render(facts).encode())


def _robots() -> Answer:
    return Answer(content_type="text/plain; charset=utf-8", body=_ROBOTS.encode())


def _style() -> Answer:
    style = (files("demo") / "site_pages" / "style.css").read_bytes()
    return Answer(content_type="text/css; charset=utf-8", body=style)


def _not_found() -> Answer:
    return Answer(status=HTTPStatus.NOT_FOUND, body=b"<!doctype html><title>Not here</title>")


def _photo_paths(photos: Path, slug: str) -> list[str]:
    return sorted(f"/photos/{slug}/{path.name}" for path in (photos / slug).glob("*.jpg"))


def _listed_names(folder: Path) -> dict[str, str]:
    """Return slug → listed name, in listing order."""
    path = folder / "truth.json"
    try:
        people = json.loads(path.read_text("utf-8"))["people"]
        return {person["slug"]: person["name"] for person in people}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path}: no rendered web there ({error!r}); render one with demo.web_files first"
        ) from error
