"""``winnow review listen`` as people run it: an answer is a decision within seconds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

LIMIT_SECONDS = 10.0
PROJECTS = ("pairs", "senior", "photos", "audit")


@dataclass
class Listener:
    """The command in the background, and what it says."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(line.rstrip() for line in self.process.stderr)

    @property
    def url(self) -> str:
        """Where it listens; empty while it does not."""
        start = "listening on "
        return next((one.removeprefix(start) for one in self.lines if one.startswith(start)), "")

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture(scope="module")
def review(asked: Any, winnow: Any, label_studio: Any) -> Iterator[Any]:
    """A review whose questions are on the server, in batches of three."""
    made = asked("by-listener", batch=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
        done = winnow("review", made.recipe, "-w", made.workspace)
        assert done.code == 0, done.err
        yield made


@pytest.fixture
def listen(winnow: Any, review: Any, wait_for: Any) -> Iterator[Callable[[], Listener]]:
    """Starts a listener and waits until it listens."""
    started: list[Listener] = []

    def start() -> Listener:
        command = [winnow.command, "review", "listen", review.recipe, "-w", review.workspace]
        process = subprocess.Popen(
            list(map(str, command)), env=winnow.environment(), stderr=subprocess.PIPE, text=True
        )
        one = Listener(process)
        started.append(one)
        threading.Thread(target=one.read, daemon=True).start()
        wait_for(lambda: one.url or process.poll() is not None, "the listener", 90)
        assert one.url, one.lines
        return one

    yield start
    for one in started:
        one.process.kill()
        one.process.wait(10)


def webhooks(review: Any) -> dict[int, str]:
    """Address of every webhook on the review's projects, by id."""
    projects = json.loads((review.folder / "projects.json").read_text())
    return {
        one["id"]: one["url"]
        for kind, project in projects.items()
        if kind != "server"
        for one in review.server.ask("GET", "webhooks/", params={"project": project})
    }


def decisions(review: Any) -> dict[tuple[str, str], str]:
    path = review.folder / "decisions.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(row["identity_a"], row["identity_b"]): row["decision"] for row in rows}


def open_questions(review: Any) -> list[tuple[int, tuple[str, str]]]:
    """Tasks without a decision, with their pairs."""
    done, tasks = decisions(review), review.tasks()
    batches = (path.parent.name for path in review.folder.glob("batches/pairs-*/opened.json"))
    asked = {key: pair for batch in batches for key, pair in review.questions(batch).items()}
    return [(tasks[key], pair) for key, pair in asked.items() if pair not in done]


def test_an_answer_is_a_decision_within_seconds(
    review: Any, listen: Any, wait_for: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = listen()
    seconds = []
    for task, pair in open_questions(review):
        started = time.monotonic()
        review.answer(task, "different")
        wait_for(lambda pair=pair: pair in decisions(review), f"the decision about {pair}", 60)
        seconds.append(time.monotonic() - started)
    with capsys.disabled():
        sys.stdout.write(f"answer to decision, in s: {[round(one, 2) for one in seconds]}\n")
    assert max(seconds) < LIMIT_SECONDS
    assert set(decisions(review).values()) == {"different"}

    # The batch is complete: the next one comes at once.
    wait_for((review.folder / "batches/pairs-0002/opened.json").exists, "the next batch", 60)
    assert listener.end() == 0
    assert webhooks(review) == {}
    assert [line for line in listener.lines if "Traceback" in line] == []


def test_only_the_server_may_post(review: Any, listen: Any) -> None:
    listener = listen()

    assert httpx.post(listener.url, json={}).status_code == 401
    guess = {"X-Winnow-Secret": "guess"}
    assert httpx.post(listener.url, json={}, headers=guess).status_code == 401
    # The interrupt of a keyboard ends it as well.
    assert listener.end(signal.SIGINT) == 0
    assert webhooks(review) == {}


def test_a_killed_listeners_webhooks_are_replaced(review: Any, listen: Any, wait_for: Any) -> None:
    first = listen()
    assert set(webhooks(review).values()) == {first.url}
    assert len(webhooks(review)) == len(PROJECTS)
    first.end(signal.SIGKILL)
    # Answered while nobody listens.
    (task, pair), *_ = open_questions(review)
    review.answer(task, "same")

    second = listen()

    assert second.url != first.url
    assert list(webhooks(review).values()) == [second.url] * len(PROJECTS)
    wait_for(lambda: decisions(review).get(pair) == "same", "what came meanwhile", 30)
    # The older of two listeners leaves the newer one's webhooks alone.
    third = listen()
    assert second.end() == 0
    assert list(webhooks(review).values()) == [third.url] * len(PROJECTS)
    assert third.end() == 0
    assert webhooks(review) == {}


def test_it_outlives_a_restart_of_the_server(review: Any, listen: Any, wait_for: Any) -> None:
    listener = listen()
    review.server.kill()
    httpx.post(listener.url, json={})
    review.server.restart()

    (task, pair), *_ = open_questions(review)
    review.answer(task, "unsure")

    wait_for(lambda: decisions(review).get(pair) == "unsure", "the decision", LIMIT_SECONDS)
    assert listener.process.poll() is None


def test_it_ends_while_the_server_is_down(review: Any, listen: Any) -> None:
    listener = listen()
    review.server.kill()
    try:
        started = time.monotonic()
        assert listener.end() == 0
        assert time.monotonic() - started < 20
    finally:
        review.server.restart()
    assert "the next listener removes this one's webhooks" in listener.lines[-1]
    assert len(webhooks(review)) == len(PROJECTS)
    assert listen().end() == 0
    assert webhooks(review) == {}
