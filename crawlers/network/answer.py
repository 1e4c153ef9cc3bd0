"""What is asked of the network, and what comes of it: the two sides of the fetcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crawlers.causes import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a server gave to ask later whether something changed (RFC 9110, 8.8)."""

    etag: str | None = None
    last_modified: str | None = None


def _no_api(url: str) -> bool:
    del url
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRules:
    """How one site is treated; times in seconds.

    ``delay_s`` is the least time between two requests to one host, ``concurrency`` how many may
    be under way there at once. ``allows`` says whether a URL, also a redirect's target, may be
    asked for; ``allow_private`` whether this host name and port may have an address that is not
    public. ``is_api`` says that a URL is a call of an interface made for programs, which its owner
    allows elsewhere: robots.txt, which speaks to crawlers of pages, is not asked about it.
    """

    allows: Callable[[str], bool]
    allow_private: Callable[[str, int], bool]
    delay_s: float = 0.5
    concurrency: int = 4
    timeout_s: float = 30.0
    retries: int = 2
    max_redirects: int = 5
    is_api: Callable[[str], bool] = _no_api


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One URL to ask for.

    ``accept`` is the Accept header. With ``validators`` the server may answer that nothing
    changed. A body of more than ``max_bytes`` is not read on. ``secrets`` are headers that go to
    the origin of ``url`` only, and are never shown.
    """

    url: str
    rules: FetchRules
    max_bytes: int
    accept: str = "*/*"
    referrer: str | None = None
    validators: Validators = Validators()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of an :class:`Ask`.

    ``cause`` is null on success: status 200 with its ``body``, or 304 and ``is_unchanged``; else
    it says why there is none, and ``detail`` may say more. ``final_url`` is where redirects ended,
    null when there were none. ``headers`` have lower-case names. ``fetched_at`` is ISO 8601 in
    UTC. ``robots`` is the decision on robots.txt: ``allowed``, ``forbidden``, ``none`` when the
    host has no such file, null when it was not asked.
    """

    url: str
    fetched_at: str
    cause: Cause | None = None
    detail: str | None = None
    final_url: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_unchanged: bool = False
    robots: str | None = None

    @property
    def content_type(self) -> str | None:
        """The Content-Type header as sent."""
        return self.headers.get("content-type")

    @property
    def validators(self) -> Validators:
        """What to send when this is asked for again."""
        return Validators(
            etag=self.headers.get("etag"), last_modified=self.headers.get("last-modified")
        )
