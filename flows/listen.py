"""``winnow review listen``: the review server posts, answers are fetched at once."""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Callable

from cleaning.stages.material import find_newest
from facedata.review import Kind
from flows import review_lines, review_server
from flows.review_server import Review
from flows.webhook import SECRET_HEADER, WebhookReceiver


def listen(review: Review, host: str, port: int, say: Callable[[str], None]) -> None:
    """Receive events of every kind of question until SIGINT or SIGTERM.

    Each event leads to a pull, and a batch that it completes to a push of the next one. The
    secret that the server shows is made anew at every start and is kept nowhere.

    Raises:
        RequestError: the port is taken.
        ReviewError: the server failed while the webhooks were set up.
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    secret = secrets.token_urlsafe(32)

    def exchange() -> None:
        counts = review_server.pull(review, say)
        if counts["new_answers"]:
            say("; ".join(review_lines.pull_lines(counts)))
        if counts["completed"]:
            sent = review_server.push(review, find_newest(review.folder), 1, say)
            say("; ".join(review_lines.push_lines(sent)))

    receiver = WebhookReceiver(exchange, secret, on_problem=say, host=host, port=port)
    receiver.start()
    server = review.exchange.server
    hooks: list[int] = []
    try:
        for kind in Kind:
            project = review.exchange.project(kind)
            hooks.append(server.set_webhook(project, receiver.url, {SECRET_HEADER: secret}))
        say(f"listening on {receiver.url}")
        # What was answered while nobody listened.
        exchange()
        ended.wait()
    finally:
        for hook in hooks:
            server.remove_webhook(hook)
        receiver.stop()
