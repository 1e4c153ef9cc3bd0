"""The webhook receiver over real sockets: who may post, and how events lead to pulls."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from facedata.errors import RequestError, ReviewError
from flows.webhook import SECRET_HEADER, WebhookReceiver

SECRET = "horse-staple"
WITH_SECRET = {SECRET_HEADER: SECRET}
PATIENCE = 10


class Pulls:
    """A callback that counts its runs and can be held up; it notes what it saw of ``changes``."""

    def __init__(self) -> None:
        self.changes = 0
        self.seen: list[int] = []
        self.problems: list[str] = []
        self.errors: list[Exception] = []
        self.most_at_once = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._running = 0

    def __call__(self) -> None:
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        self.seen.append(self.changes)
        assert self.may_go_on.wait(PATIENCE)
        self._running -= 1
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def pulls() -> Pulls:
    return Pulls()


@pytest.fixture
def receiver(pulls: Pulls) -> Iterator[WebhookReceiver]:
    running = WebhookReceiver(pulls, SECRET, on_problem=pulls.problems.append)
    running.start()
    yield running
    pulls.may_go_on.set()
    running.stop()


def until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.005)


def health(receiver: WebhookReceiver) -> int:
    return httpx.get(httpx.URL(receiver.url).join("/health")).status_code


def test_an_event_leads_to_a_pull(receiver: WebhookReceiver, pulls: Pulls) -> None:
    assert receiver.url.startswith("http://127.0.0.1:")
    assert receiver.url.endswith("/events")
    assert httpx.post(receiver.url, headers=WITH_SECRET, json={"action": "x"}).status_code == 202
    until(lambda: len(pulls.seen) == 1)


@pytest.mark.parametrize(
    "headers", [{}, {SECRET_HEADER: ""}, {SECRET_HEADER: SECRET + "x"}, {SECRET_HEADER: b"\xe9"}]
)
def test_without_the_secret_nothing_happens(
    receiver: WebhookReceiver, pulls: Pulls, headers: dict[str, str]
) -> None:
    assert httpx.post(receiver.url, headers=headers, json={}).status_code == 401
    assert httpx.post(receiver.url, headers=headers, content=b"x" * 3_000_000).status_code == 401
    receiver.stop()
    assert pulls.seen == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(
    receiver: WebhookReceiver, pulls: Pulls, chunked: bool
) -> None:
    def post(size: int) -> int:
        body = b"\xff" * size
        content = iter([body[: size // 2], body[size // 2 :]]) if chunked else body
        return httpx.post(receiver.url, headers=WITH_SECRET, content=content).status_code

    assert post(1_000_001) == 413
    assert pulls.seen == []
    assert post(1_000_000) == 202
    until(lambda: len(pulls.seen) == 1)


def test_other_paths_and_methods_are_refused(receiver: WebhookReceiver, pulls: Pulls) -> None:
    assert health(receiver) == 200
    assert httpx.get(receiver.url, headers=WITH_SECRET).status_code == 405
    assert httpx.post(f"{receiver.url}/x", headers=WITH_SECRET).status_code == 404
    receiver.stop()
    assert pulls.seen == []


def test_events_are_answered_while_a_pull_runs(receiver: WebhookReceiver, pulls: Pulls) -> None:
    pulls.may_go_on.clear()
    assert httpx.post(receiver.url, headers=WITH_SECRET).status_code == 202
    until(lambda: len(pulls.seen) == 1)
    for _ in range(3):
        pulls.changes += 1
        assert httpx.post(receiver.url, headers=WITH_SECRET).status_code == 202
    pulls.may_go_on.set()
    until(lambda: len(pulls.seen) == 2)
    assert pulls.seen == [0, 3]


def test_a_burst_is_one_more_pull_and_its_last_event_is_seen(
    receiver: WebhookReceiver, pulls: Pulls
) -> None:
    lock = threading.Lock()

    def change(client: httpx.Client) -> int:
        with lock:
            pulls.changes += 1
        return client.post(receiver.url, headers=WITH_SECRET, json={}).status_code

    pulls.may_go_on.clear()
    with httpx.Client() as client, ThreadPoolExecutor(8) as pool:
        assert change(client) == 202
        until(lambda: len(pulls.seen) == 1)
        answers = list(pool.map(change, [client] * 200))
    pulls.may_go_on.set()
    until(lambda: len(pulls.seen) == 2)
    receiver.stop()
    assert answers == [202] * 200
    assert pulls.seen == [1, 201]


def test_events_at_any_time_are_always_followed_by_a_pull(
    receiver: WebhookReceiver, pulls: Pulls
) -> None:
    with httpx.Client() as client:
        for number in range(1, 201):
            pulls.changes = number
            assert client.post(receiver.url, headers=WITH_SECRET).status_code == 202
    until(lambda: pulls.seen[-1:] == [200])
    assert pulls.most_at_once == 1
    assert len(pulls.seen) <= 200


def test_a_pull_that_fails_is_told_and_the_next_event_works(
    receiver: WebhookReceiver, pulls: Pulls
) -> None:
    pulls.errors.append(ReviewError("the review server is down; start it"))
    assert httpx.post(receiver.url, headers=WITH_SECRET).status_code == 202
    until(lambda: pulls.problems == ["the review server is down; start it"])
    assert health(receiver) == 200
    assert httpx.post(receiver.url, headers=WITH_SECRET).status_code == 202
    until(lambda: len(pulls.seen) == 2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_receiver_that_cannot_pull_any_more_says_so(
    receiver: WebhookReceiver, pulls: Pulls
) -> None:
    pulls.errors.append(ZeroDivisionError("a mistake in the program"))
    assert httpx.post(receiver.url, headers=WITH_SECRET).status_code == 202
    until(lambda: health(receiver) == 503)
    assert httpx.post(receiver.url, headers=WITH_SECRET).status_code == 503
    receiver.stop()


def test_stopping_waits_for_the_pull_that_runs_and_starts_no_other(
    receiver: WebhookReceiver, pulls: Pulls
) -> None:
    pulls.may_go_on.clear()
    url = receiver.url
    for _ in range(2):
        httpx.post(url, headers=WITH_SECRET)
        until(lambda: len(pulls.seen) == 1)
    stopping = threading.Thread(target=receiver.stop)
    stopping.start()
    stopping.join(0.5)
    assert stopping.is_alive()
    with pytest.raises(httpx.ConnectError):
        httpx.post(url, headers=WITH_SECRET)
    pulls.may_go_on.set()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    assert pulls.seen == [0]
    assert not {"webhook", "webhook-pull"} & {thread.name for thread in threading.enumerate()}


HALF_A_REQUEST = (
    f"POST /events HTTP/1.1\r\nHost: x\r\n{SECRET_HEADER}: {SECRET}\r\n"
    "Content-Length: 10\r\n\r\nhalf"
).encode()


def connect(receiver: WebhookReceiver) -> socket.socket:
    url = httpx.URL(receiver.url)
    return socket.create_connection((url.host, url.port), timeout=PATIENCE)


def test_stopping_waits_for_a_client_that_stalls_but_not_for_long(
    receiver: WebhookReceiver, pulls: Pulls, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(receiver) as stalling, connect(receiver) as silent:
        stalling.sendall(HALF_A_REQUEST)
        silent.sendall(HALF_A_REQUEST[:20])
        assert health(receiver) == 200
        started = time.monotonic()
        receiver.stop()
        assert time.monotonic() - started < 5
        assert stalling.recv(1000).startswith(b"HTTP/1.1 408 ")
    assert pulls.seen == []
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_client_that_leaves_half_way_is_no_event(
    receiver: WebhookReceiver, pulls: Pulls, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(receiver) as leaving:
        leaving.sendall(HALF_A_REQUEST)
    assert health(receiver) == 200
    receiver.stop()
    assert pulls.seen == []
    assert [record for record in caplog.records if record.exc_info] == []


def test_it_can_be_started_again_and_each_call_repeated(pulls: Pulls) -> None:
    receiver = WebhookReceiver(pulls, SECRET, on_problem=pulls.problems.append)
    receiver.stop()
    for _ in range(2):
        pulls.seen.clear()
        receiver.start()
        url = receiver.url
        receiver.start()
        assert receiver.url == url
        assert httpx.post(url, headers=WITH_SECRET).status_code == 202
        until(lambda: len(pulls.seen) == 1)
        receiver.stop()
        receiver.stop()
        with pytest.raises(RequestError, match="not running, so it has no address; start it"):
            _ = receiver.url


def test_it_can_be_woken_without_an_event(receiver: WebhookReceiver, pulls: Pulls) -> None:
    receiver.wake()
    until(lambda: len(pulls.seen) == 1)
    receiver.stop()
    receiver.wake()
    assert len(pulls.seen) == 1


def test_a_pull_that_hangs_does_not_hold_up_the_end(
    receiver: WebhookReceiver, pulls: Pulls
) -> None:
    pulls.may_go_on.clear()
    receiver.wake()
    until(lambda: len(pulls.seen) == 1)
    started = time.monotonic()
    receiver.stop(patience=0.1)
    assert 0.1 <= time.monotonic() - started < PATIENCE


def test_a_port_in_use_is_one_clear_line(receiver: WebhookReceiver, pulls: Pulls) -> None:
    port = httpx.URL(receiver.url).port
    assert port is not None
    second = WebhookReceiver(pulls, SECRET, on_problem=pulls.problems.append, port=port)
    with pytest.raises(RequestError) as caught:
        second.start()
    assert re.fullmatch(
        rf"webhook receiver: cannot listen on 127.0.0.1:{port} \(.* in use.*\); "
        "choose another host or port",
        str(caught.value),
    )


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("no.such.host.invalid", 0)])
def test_an_address_that_cannot_be_listened_on_is_refused(
    pulls: Pulls, host: str, port: int
) -> None:
    receiver = WebhookReceiver(
        pulls, SECRET, on_problem=pulls.problems.append, host=host, port=port
    )
    with pytest.raises(RequestError, match=rf"cannot listen on {host}:{port} .*choose another"):
        receiver.start()


@pytest.mark.parametrize("secret", ["", " padded ", "two\nlines", "grün"])
def test_a_secret_that_no_header_carries_is_refused(pulls: Pulls, secret: str) -> None:
    with pytest.raises(RequestError, match="use letters and digits"):
        WebhookReceiver(pulls, secret, on_problem=pulls.problems.append)
