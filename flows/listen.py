"""``winnow review listen``: the review server posts, answers are fetched at once."""

from __future__ import annotations

import json
import os
import secrets
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from cleaning.review.label_studio import connect
from cleaning.review.label_studio_connection import TOKEN_VARIABLE
from cleaning.stages.material import find_newest
from cleaning.stages.review_folder import ReviewFolder
from facedata.errors import ReviewError
from facedata.review import Kind
from flows import review_lines, review_server
from flows.review_server import Review
from flows.webhook import SECRET_HEADER, WebhookReceiver

LOOK_SECONDS = 60.0
"""How long without an event before it looks for answers all the same: an event may be lost."""

_WEBHOOKS = "webhooks.json"
_FAREWELL_SECONDS = 5.0


def listen(review: Review, host: str, port: int, say: Callable[[str], None]) -> None:
    """Receive events of every kind of question until SIGINT or SIGTERM.

    Each event leads to a pull, and a batch that it completes to a push of the next one. A server
    that fails meanwhile is asked again, with the next event or within a minute. The secret that
    the server shows is made anew at every start and is kept nowhere.

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
    webhooks = _Webhooks(review=review)
    try:
        webhooks.set(receiver.url, secret)
        say(f"listening on {receiver.url}")
        # Also for what was answered while nobody listened.
        receiver.wake()
        while not ended.wait(LOOK_SECONDS):
            receiver.wake()
    finally:
        webhooks.remove(say)
        # A pull may be killed at any time: it writes what it read, and then how far it came.
        receiver.stop(patience=_FAREWELL_SECONDS)


@dataclass(slots=True, kw_only=True)
class _Webhooks:
    """The webhooks of one listener, noted in the workspace.

    A listener that was killed leaves its webhooks on the server, with an address where nobody
    listens. The note lets the next one remove them.
    """

    review: Review
    _own: list[int] = field(default_factory=list)

    def set(self, url: str, secret: str) -> None:
        """Set one for each kind of question, in place of those of the listener before.

        Raises:
            ReviewError: the server failed.
        """
        server = self.review.exchange.server
        for webhook in _noted(self.review.folder):
            server.remove_webhook(webhook)
        for kind in Kind:
            project = self.review.exchange.project(kind)
            self._own.append(server.set_webhook(project, url, {SECRET_HEADER: secret}))
            _note(self.review.folder, self._own)

    def remove(self, say: Callable[[str], None]) -> None:
        """Remove what was set; a server that is down keeps them until the next listener starts."""
        url, token = self.review.resolved.review.url, os.environ[TOKEN_VARIABLE]
        # One that does not wait for a server that is down: people want the command to end.
        server = connect(url, token, patience=_FAREWELL_SECONDS)
        try:
            for webhook in self._own:
                server.remove_webhook(webhook)
        except ReviewError as error:
            say(f"review: {error}; the next listener removes this one's webhooks")
            return
        if _noted(self.review.folder) == self._own:
            _note(self.review.folder, [])


def _noted(folder: ReviewFolder) -> list[int]:
    path = folder.path(_WEBHOOKS)
    if not folder.storage.exists(path):
        return []
    return [int(webhook) for webhook in json.loads(folder.storage.read(path))]


def _note(folder: ReviewFolder, webhooks: list[int]) -> None:
    folder.storage.write(folder.path(_WEBHOOKS), json.dumps(webhooks).encode())
