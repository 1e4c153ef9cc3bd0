"""What a server answers, and does not: repeated while it may pass, else said in our words."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from cleaning.review.label_studio import connect
from cleaning.review.label_studio_connection import Connection
from facedata.errors import ProjectGoneError, RequestError, ReviewError


class Answering(HTTPServer):
    """Gives its answers in turn, and the last one from then on."""

    answers: list[tuple[int, bytes]]
    served = 0


class Handler(BaseHTTPRequestHandler):
    """Answers a request with the next answer of its server."""

    server: Answering

    def do_GET(self) -> None:
        answers = self.server.answers
        status, body = answers[min(self.server.served, len(answers) - 1)]
        self.server.served += 1
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def answering() -> Iterator[Answering]:
    server = Answering(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def connection(answering: Answering) -> Iterator[Connection]:
    url = f"http://127.0.0.1:{answering.server_port}"
    with httpx.Client(base_url=url, trust_env=False) as client:
        yield Connection(url, Signed(client), patience=1)


class Signed:
    """The client of these tests; it has nothing to sign with."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def request(self, path: str, *, method: str, params: Any, json: Any) -> httpx.Response:
        return self.client.request(method, path, params=params, json=json)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_repeated(
    answering: Answering, connection: Connection, status: int
) -> None:
    answering.answers = [(status, b"{}"), (200, b'{"id": 7}')]

    assert connection.ask(lambda: connection.read("api/projects/7/")) == {"id": 7}
    assert answering.served == 2


def test_what_does_not_pass_is_said_when_the_patience_ends(
    answering: Answering, connection: Connection
) -> None:
    answering.answers = [(503, b'{"detail": "down for\\nrepair"}')]

    with pytest.raises(ReviewError, match=r"cannot be reached \(HTTP 503 down for repair\); start"):
        connection.ask(lambda: connection.read("api/version"))
    assert answering.served == 3  # at once, after 0.25 s and after 0.75 s


@pytest.mark.parametrize(
    ("status", "project", "error", "said"),
    [
        (401, None, RequestError, "refuses the token in LABEL_STUDIO_API_KEY"),
        (403, 7, RequestError, "refuses the token in LABEL_STUDIO_API_KEY"),
        (404, 7, ProjectGoneError, "project 7 is gone; push again to make it"),
        (404, None, ReviewError, "HTTP 404: no reason given; check review.url"),
        (400, 7, ReviewError, "HTTP 400: no reason given; check review.url"),
    ],
)
def test_a_refusal_is_not_repeated(
    answering: Answering,
    connection: Connection,
    status: int,
    project: int | None,
    error: type[Exception],
    said: str,
) -> None:
    answering.answers = [(status, b"<html>no</html>")]

    with pytest.raises(error, match=said) as caught:
        connection.ask(lambda: connection.read("api/projects/7/"), project)
    assert type(caught.value) is error
    assert answering.served == 1


def test_a_server_that_is_not_there() -> None:
    url = "http://127.0.0.1:9"  # discard: nobody listens
    began = time.monotonic()

    with pytest.raises(ReviewError) as caught:
        connect(url, "0" * 40, patience=1).task_ids(1)

    assert 0.5 < time.monotonic() - began < 2
    assert str(caught.value).startswith(f"Label Studio at {url}: cannot be reached (")
    assert str(caught.value).endswith("start it (make label-studio) or check review.url")


def test_another_kind_of_server(label_studio: Any) -> None:
    elsewhere = label_studio.url + "/user/login?next="

    with pytest.raises(ReviewError, match=r"check review\.url$"):
        connect(elsewhere, label_studio.token).version()
