"""The rows of a crawl's ledger: what people wish for, and what came of each URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from crawlers.causes import Cause
from crawlers.network.answer import Validators
from crawlers.spiders.page_content import PageContent, Rights


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One identity's wish for one URL; ``page_number`` counts from 1, and is 0 for an image.

    ``page_url`` is the page that linked it, null for a start page or a row of a list.
    """

    identity: str
    site: str
    url: str
    page_url: str | None = None
    page_number: int = 0
    rights: Rights = field(default_factory=Rights)

    @property
    def is_page(self) -> bool:
        """Whether a page is wished for, not an image."""
        return self.page_number > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A URL that must be asked for now, for all who claim it.

    ``site`` and ``page_url`` are of one of the claims, whose rules hold. ``number`` names it in
    the ledger; ``host`` is the URL's host with its port, when it gives one, in small letters.
    ``postponed`` counts how often its page asked for more time.
    """

    number: int
    site: str
    url: str
    is_page: bool
    page_url: str | None = None
    validators: Validators = field(default_factory=Validators)
    host: str = ""
    postponed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of asking for one URL once; the columns of the evidence that is kept of it.

    ``cause`` is null on success. ``sha256`` (hex) and ``size_bytes`` are of the stored bytes of an
    image. ``is_unchanged`` means that the server said so: the bytes stored before stand.
    """

    url: str
    fetched_at: str
    cause: Cause | None = None
    detail: str | None = None
    final_url: str | None = None
    http_status: int | None = None
    content_type: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    robots: str | None = None
    is_unchanged: bool = False
    sha256: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a :class:`Pending`; ``content`` is what was read out of a page."""

    pending: Pending
    outcome: Outcome
    content: PageContent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlRules:
    """What decides about claims before anybody is asked, and who reads the answers.

    ``refusal`` says why a claim may not be asked for, null when it may; it is a function of the
    claim alone. ``digest`` is of everything it depends on (sites, listed people, licences): when
    it is not that of the last run, all claims are judged again. ``spiders`` are the kinds of
    spider by site, of every site that ``refusal`` lets pass.
    """

    refusal: Callable[[Claim], Cause | None]
    digest: str
    spiders: Mapping[str, str]
    spider_version: str


class ClaimState(StrEnum):
    """How far a claim is; each is in exactly one state."""

    PENDING = "pending"
    STORED = "stored"
    """The image's bytes are stored, or the page was read."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimAccount:
    """What became of one claim; ``cause`` is null unless it failed.

    ``sha256`` (hex) is of the stored bytes. A claim that is pending because its image is asked
    for once more has those stored before.
    """

    identity: str
    site: str
    url: str
    is_page: bool
    state: ClaimState
    cause: Cause | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """A stored image as one identity claims it: the provenance row, and where its bytes lie.

    ``location`` as ``facedata.location``. ``spider`` and ``spider_version`` are what fetched it.
    """

    identity: str
    site: str
    url: str
    page_url: str | None
    location: str
    outcome: Outcome
    rights: Rights
    spider: str
    spider_version: str
