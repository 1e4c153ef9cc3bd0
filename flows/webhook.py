"""Receiver of the review server's webhooks, on the Starlette and uvicorn that Prefect brings."""

from __future__ import annotations

import asyncio
import hmac
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from facedata.errors import RequestError, WinnowError

SECRET_HEADER = "X-Winnow-Secret"
"""Header by which the review server shows that it may post."""

_PATH = "/events"
_BODY_LIMIT_BYTES = 1_000_000
_BODY_SECONDS = 3
"""How long a body may take; a client that stalls must not hold up the end."""
_GRACE_SECONDS = 2 * _BODY_SECONDS


class WebhookReceiver:
    """Runs ``on_event`` soon after something changed on the review server.

    An event is only a sign to look: its body is thrown away unread, and what changed is asked
    of the server itself. It is answered at once; ``on_event`` then runs in a thread of its own,
    never twice at a time. Events that arrive while it runs lead to one more run together, so
    the last event is always followed by a whole run.

    A ``WinnowError`` of ``on_event`` is told to ``on_problem``, in that same thread, and the
    next event tries again.
    """

    def __init__(
        self,
        on_event: Callable[[], None],
        secret: str,
        *,
        on_problem: Callable[[str], None],
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Set up; with ``port`` 0 the system chooses a free one.

        Raises:
            RequestError: when the secret cannot be sent in a header.
        """
        if not re.fullmatch(r"[!-~]+", secret):
            raise RequestError(
                f"webhook secret: {len(secret)} characters that are not all visible ASCII, or "
                "none; use letters and digits"
            )
        self._on_event = on_event
        self._on_problem = on_problem
        self._secret = secret.encode("ascii")
        self._host = host
        self._port = port
        self._lock = threading.Lock()
        self._running: _Running | None = None

    @property
    def url(self) -> str:
        """Where events are posted to.

        Raises:
            RequestError: when the receiver is not running.
        """
        running = self._running
        if running is None:
            raise RequestError("webhook receiver: not running, so it has no address; start it")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{running.port}{_PATH}"

    def start(self) -> None:
        """Listen in the background; nothing happens when it does already.

        Raises:
            RequestError: when the address cannot be listened on.
        """
        with self._lock:
            if self._running is not None:
                return
            listening = _listen(self._host, self._port)
            puller = _Puller(self._on_event, self._on_problem)
            server = uvicorn.Server(
                uvicorn.Config(
                    _application(self._secret, puller),
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    timeout_graceful_shutdown=_GRACE_SECONDS,
                )
            )
            thread = threading.Thread(
                target=server.run, args=([listening],), name="webhook", daemon=True
            )
            port = listening.getsockname()[1]
            puller.start()
            thread.start()
            self._running = _Running(server=server, thread=thread, puller=puller, port=port)

    def wake(self) -> None:
        """Have ``on_event`` run as after an event; nothing happens when stopped."""
        with self._lock:
            if self._running is not None:
                self._running.puller.wake()

    def stop(self, patience: float | None = None) -> None:
        """Stop listening and wait for a run that is under way; nothing happens when stopped.

        A run that takes longer than ``patience`` seconds is left to end with the process. Events
        that still wait for their run are dropped: the next pull, by whomever, sees what they were
        about.
        """
        with self._lock:
            if self._running is None:
                return
            self._running.server.should_exit = True
            self._running.thread.join()
            self._running.puller.stop(patience)
            self._running = None


class _Puller(threading.Thread):
    """Runs a callback after each wake-up, once for all that came in the meantime."""

    def __init__(self, on_event: Callable[[], None], on_problem: Callable[[str], None]) -> None:
        super().__init__(name="webhook-pull", daemon=True)
        self._on_event = on_event
        self._on_problem = on_problem
        self._changed = threading.Condition()
        self._pending = False
        self._stopping = False

    def run(self) -> None:
        """Wait and pull, until told to stop."""
        while self._wait():
            try:
                self._on_event()
            except WinnowError as error:
                self._on_problem(str(error))

    def wake(self) -> None:
        """Have the callback run, after the present run if there is one."""
        with self._changed:
            self._pending = True
            self._changed.notify()

    def stop(self, patience: float | None) -> None:
        """End after the present run; wait for that, at most ``patience`` seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self.join(patience)

    def _wait(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._stopping)
            # Before the run: what arrives from now on may be too late for it.
            self._pending = False
            return not self._stopping


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    server: uvicorn.Server
    thread: threading.Thread
    puller: _Puller
    port: int


def _application(secret: bytes, puller: _Puller) -> Starlette:
    async def take_event(request: Request) -> Response:
        shown = request.headers.get(SECRET_HEADER, "").encode("latin-1")
        if not hmac.compare_digest(shown, secret):
            return Response("wrong secret\n", 401)
        if refusal := await _refusal_of_body(request):
            return refusal
        # A callback that failed in an unforeseen way has ended its thread: nobody would pull.
        if not puller.is_alive():
            return Response("the receiver has failed; see its log\n", 503)
        puller.wake()
        return Response(status_code=202)

    async def tell_health(_: Request) -> Response:
        return Response(status_code=200 if puller.is_alive() else 503)

    return Starlette(
        routes=[
            Route(_PATH, take_event, methods=["POST"]),
            Route("/health", tell_health, methods=["GET"]),
        ]
    )


async def _refusal_of_body(request: Request) -> Response | None:
    """Read the body to its end, keeping nothing; the answer to one that cannot be taken."""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            small = await _discard_body(request)
    except TimeoutError:
        return Response(f"body took over {_BODY_SECONDS} s\n", 408)
    except ClientDisconnect:
        return Response(status_code=400)
    return None if small else Response(f"body over {_BODY_LIMIT_BYTES} bytes\n", 413)


async def _discard_body(request: Request) -> bool:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _BODY_LIMIT_BYTES:
            return False
    return True


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise RequestError(
            f"webhook receiver: cannot listen on {host}:{port} ({error}); "
            "choose another host or port"
        ) from error
