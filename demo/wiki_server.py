"""Wikidata's and Commons' APIs on this machine, over a small wiki of one's own.

    with serve_wiki(wiki) as server:
        ...  # server.wikidata_url, server.commons_url

Like Wikimedia's servers it forbids its API in robots.txt, wants a user agent with a contact, and
says now and then that it is too busy. Only 127.0.0.1 is listened on.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from demo.wiki import Answer, Wiki

_ROBOTS = b"User-agent: *\nDisallow: /w/\nDisallow: /wikidata/w/\n"
_COMMONS, _WIKIDATA = "/w/api.php", "/wikidata/w/api.php"
_BUSY_S = 5


@dataclass(slots=True, kw_only=True)
class WikiServer:
    """A running server. Every ``lag_every``-th call is answered as too busy, none with 0;
    ``calls`` grows with each call, and ``files`` with each image that was fetched."""

    url: str
    wiki: Wiki
    lag_every: int = 0
    calls: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @property
    def wikidata_url(self) -> str:
        """The address of Wikidata's API."""
        return self.url + _WIKIDATA

    @property
    def commons_url(self) -> str:
        """The address of Commons' API."""
        return self.url + _COMMONS

    def answer(self, target: str) -> tuple[Answer, dict[str, str]]:
        """Return what a call is answered, and the headers beside it."""
        self.calls.append(target)
        parts = urlsplit(target)
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
        if self.lag_every and "maxlag" in parameters and len(self.calls) % self.lag_every == 0:
            return _busy(), {"Retry-After": str(_BUSY_S), "X-Database-Lag": "7"}
        if parts.path == _WIKIDATA:
            return self.wiki.wikidata(parameters), {}
        return self.wiki.commons(parameters, self.url), {}

    def body(self, path: str) -> tuple[bytes, str] | None:
        """Return an image's bytes and media type; a scaled one is not scaled here."""
        for file in self.wiki.files:
            plain = unquote(file.path)
            if path == plain or path.startswith(f"/thumb{plain}/"):
                self.files.append(file.title)
                return None if file.is_deleted else (file.body, file.mime)
        return None


@contextmanager
def serve_wiki(wiki: Wiki, *, lag_every: int = 0) -> Iterator[WikiServer]:
    """Serve on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if path == "/robots.txt":
                self._send(HTTPStatus.OK, "text/plain", _ROBOTS)
            elif path in (_COMMONS, _WIKIDATA):
                self._call()
            elif (found := server.body(path)) is not None:
                self._send(HTTPStatus.OK, found[1], found[0])
            else:
                self._send(HTTPStatus.NOT_FOUND, "text/plain", b"not found")

        def _call(self) -> None:
            agent = self.headers.get("User-Agent", "")
            if "@" not in agent and "://" not in agent:
                self._send(HTTPStatus.FORBIDDEN, "text/plain", b"Please set a user-agent")
                return
            answer, headers = server.answer(self.path)
            body = json.dumps(answer, ensure_ascii=False).encode()
            self._send(HTTPStatus.OK, "application/json; charset=utf-8", body, headers)

        def _send(
            self, status: HTTPStatus, kind: str, body: bytes, headers: dict[str, str] | None = None
        ) -> None:
            self.send_response(status)
            fields = {"Content-Type": kind, "Content-Length": str(len(body))} | (headers or {})
            for name, value in fields.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    http.block_on_close = False
    server = WikiServer(url=f"http://127.0.0.1:{http.server_port}", wiki=wiki, lag_every=lag_every)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _busy() -> Answer:
    error = {
        "code": "maxlag",
        "info": "Waiting for 10.64.16.7: 7.1 seconds lagged.",
        "host": "10.64.16.7",
        "lag": 7.1,
        "type": "db",
    }
    return {"error": error, "servedby": "mw1"}
