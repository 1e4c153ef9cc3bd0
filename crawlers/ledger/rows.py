"""The rows of a crawl's ledger: what people wish for, and what came of each URL."""

from __future__ import annotations

from dataclasses import dataclass, field

from crawlers.causes import Cause
from crawlers.network.answer import Validators
from crawlers.spiders.page_content import Rights


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

    ``site`` is that of the first claim, whose rules hold. ``number`` names it in the ledger.
    """

    number: int
    site: str
    url: str
    is_page: bool
    page_url: str | None = None
    validators: Validators = field(default_factory=Validators)


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
