"""Requests to a Label Studio: what may pass is repeated, what may not is said in our words.

It sends, and knows no client library: how requests are signed is the business of the HTTP client
that it is given, what they are about that of its callers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from cleaning.review.label_studio_json import parsed, reason_of
from cleaning.review.server import JsonObject
from facedata.errors import ProjectGoneError, RequestError, ReviewError

if TYPE_CHECKING:
    import httpx

TOKEN_VARIABLE = "LABEL_STUDIO_API_KEY"

_TRANSIENT = frozenset({429, 500, 502, 503, 504})
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 8.0

T = TypeVar("T")


class HttpClient(Protocol):
    """What sends a request to a path of the server, signed with the token."""

    def request(self, path: str, *, method: str, params: Any, json: Any) -> httpx.Response:
        """Return the answer, whatever its status."""
        ...


class RefusedError(Exception):
    """The server answered that it will not; ``body`` is its answer as JSON, or as text."""

    def __init__(self, status: int | None, body: Any) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


class Connection:
    """A server at ``url``; ``patience`` is for how many seconds what may pass is repeated."""

    def __init__(self, url: str, http: HttpClient, patience: float) -> None:
        self._url = url
        self._http = http
        self._patience = patience

    def read(self, path: str, asked: JsonObject | None = None) -> Any:
        """Return what the server answers to a GET, as JSON; see ``send``."""
        return self.send("GET", path, asked, None)

    def send(self, method: str, path: str, asked: JsonObject | None, body: Any) -> Any:
        """Return what the server answers, as JSON; sent once, for ``ask`` to repeat.

        Raises:
            RefusedError: the server refuses.
            ReviewError: it answers with a page: it is no Label Studio.
            httpx.TransportError: it does not answer.
        """
        answer = self._http.request(path, method=method, params=asked, json=body)
        found = parsed(answer.text)
        if not answer.is_success:
            raise RefusedError(answer.status_code, found)
        if isinstance(found, str):
            raise ReviewError(
                f"Label Studio at {self._url}: answers with a page where JSON is due; check "
                "review.url"
            )
        return found

    def ask(self, ask: Callable[[], T], project: int | None = None) -> T:
        """Return what ``ask`` returns; repeat what may pass, and say in our words what may not.

        Raises:
            RequestError: the token is refused.
            ProjectGoneError: what was asked for is not there, and was ``project``'s.
            ReviewError: any other refusal, or no answer for as long as the patience lasts.
        """
        import httpx

        end = time.monotonic() + self._patience
        wait = _FIRST_WAIT
        while True:
            try:
                return ask()
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            except RefusedError as error:
                if error.status not in _TRANSIENT:
                    raise self._translated(error, project) from error
                reason = f"HTTP {error.status} {reason_of(error.body)}".rstrip()
            if time.monotonic() + wait > end:
                raise ReviewError(
                    f"Label Studio at {self._url}: cannot be reached ({reason}); start it "
                    "(make label-studio) or check review.url"
                )
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _translated(self, error: RefusedError, project: int | None) -> Exception:
        where = f"Label Studio at {self._url}"
        if error.status in (401, 403):
            return RequestError(
                f"{where}: refuses the token in {TOKEN_VARIABLE} (HTTP {error.status}); "
                "copy yours from Account & Settings there"
            )
        if error.status == 404 and project is not None:
            return ProjectGoneError(f"{where}: project {project} is gone; push again to make it")
        reason = reason_of(error.body) or "no reason given; check review.url"
        return ReviewError(f"{where}: HTTP {error.status}: {reason}")
