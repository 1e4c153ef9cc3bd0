"""What a crawl wants, what it has and what it waits for; every URL is asked for once.

A *claim* is an identity's wish for a URL. Several claims on one URL share one request, and a URL
whose answer is in the ledger is never asked for again: its claims are settled from the ledger,
page by page, until only what is missing is left to fetch.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from crawlers.causes import Cause
from crawlers.counts import CrawlCounts
from crawlers.raw_store import RawStore
from crawlers.sites import Site
from crawlers.url_ledger import ImageRow, LedgerWriter, PageRow, UrlRow

_URL_CHARACTERS = 8_000
_DECIDED_HERE = frozenset(
    {Cause.BAD_URL, Cause.UNSUPPORTED_SCHEME, Cause.OFF_SITE, Cause.PAGE_LIMIT}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One identity's wish for one URL; ``page_number`` counts from 1, and is 0 for an image."""

    identity: str
    site: str
    url: str
    page_url: str | None = None
    page_number: int = 0

    @property
    def is_page(self) -> bool:
        """Whether a listing page is wished for, not an image."""
        return self.page_number > 0

    @property
    def key(self) -> tuple[str, ...]:
        """What the ledger has one row for."""
        return ("page" if self.is_page else "image", self.identity, self.url)

    @property
    def target(self) -> tuple[str, ...]:
        """What is asked for once: a page is read with its site's selectors, an image is not."""
        return ("page", self.site, self.url) if self.is_page else ("image", self.url)


class Frontier:
    """The claims of one crawl, settled into its ledger; shared by all sites of the crawl."""

    def __init__(
        self, sites: Iterable[Site], ledger: LedgerWriter, store: RawStore, spider: str
    ) -> None:
        self._sites: Mapping[str, Site] = {site.name: site for site in sites}
        self._ledger = ledger
        self._store = store
        self._spider = spider
        self._recorded: dict[tuple[str, ...], UrlRow] = {}
        self._answers: dict[tuple[str, ...], UrlRow] = {}
        self._waiting: dict[tuple[str, ...], list[Claim]] = {}
        self._claimed: set[tuple[str, ...]] = set()
        self._failed: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        self._stored = self._size_bytes = self._pages = self._images = self._fetched = 0

    def recall(self, rows: Iterable[UrlRow], *, retry_failed: bool) -> None:
        """Take over the rows of earlier runs; with ``retry_failed`` only the successes count."""
        for row in rows:
            is_page = isinstance(row, PageRow)
            claim = Claim(
                identity=row.identity, site=row.site, url=row.url, page_number=int(is_page)
            )
            self._recorded[claim.key] = row
            if self._is_answer(row, retry_failed):
                self._answers[claim.target] = row
            else:
                self._answers.pop(claim.target, None)

    def want(self, claims: Iterable[Claim]) -> list[Claim]:
        """Take up new claims and return those whose URL must be asked for now.

        Raises:
            OSError: when the ledger cannot be written.
        """
        queue = deque(claims)
        to_fetch = []
        while queue:
            claim = queue.popleft()
            if claim.key in self._claimed:
                continue
            self._claimed.add(claim.key)
            self._images += not claim.is_page
            if (row := self._row_without_fetch(claim)) is not None:
                queue.extend(self._settle_one(claim, row))
            elif claim.target in self._waiting:
                self._waiting[claim.target].append(claim)
            else:
                self._waiting[claim.target] = [claim]
                to_fetch.append(claim)
        return to_fetch

    def settle(self, claim: Claim, row: UrlRow) -> list[Claim]:
        """Record the answer to a fetched claim for all who wait for it.

        Returns the claims that follow from it and must be asked for, as :meth:`want`.

        Raises:
            OSError: when the ledger cannot be written.
        """
        self._answers[claim.target] = row
        self._fetched += 1
        following: list[Claim] = []
        for one in self._waiting.pop(claim.target):
            following += self._settle_one(one, row)
        return self.want(following)

    def is_settled(self) -> bool:
        """Say whether no claim waits for an answer."""
        return not self._waiting

    def counts(self) -> CrawlCounts:
        """Return how far the crawl is."""
        return CrawlCounts(
            requested=self._images,
            stored=self._stored,
            failed=dict(sorted(self._failed[False].items())),
            size_bytes=self._size_bytes,
            pages=self._pages,
            pages_failed=dict(sorted(self._failed[True].items())),
            fetched=self._fetched,
        )

    def _is_answer(self, row: UrlRow, retry_failed: bool) -> bool:
        if row.cause is not None:
            return not retry_failed and row.cause not in _DECIDED_HERE
        if not isinstance(row, ImageRow):
            return True
        # A stored file that someone removed is fetched again.
        return self._store.has(row.sha256 or "", row.size_bytes or 0)

    def _row_without_fetch(self, claim: Claim) -> UrlRow | None:
        if (cause := self._refusal(claim)) is None:
            return self._answers.get(claim.target)
        row_type = PageRow if claim.is_page else ImageRow
        return row_type(
            identity=claim.identity,
            site=claim.site,
            spider=self._spider,
            url=claim.url,
            page_url=claim.page_url,
            fetched_at=now(),
            cause=cause,
        )

    def _refusal(self, claim: Claim) -> Cause | None:
        """Return why a claim is refused without asking anybody."""
        try:
            parts = urlsplit(claim.url)
            has_host = bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            return Cause.BAD_URL
        if parts.scheme not in {"http", "https"}:
            return Cause.UNSUPPORTED_SCHEME if parts.scheme else Cause.BAD_URL
        if not has_host or len(claim.url) > _URL_CHARACTERS:
            return Cause.BAD_URL
        site = self._sites[claim.site]
        if not site.allows(claim.url):
            return Cause.OFF_SITE
        return Cause.PAGE_LIMIT if claim.page_number > site.max_pages else None

    def _settle_one(self, claim: Claim, answer: UrlRow) -> list[Claim]:
        """Record ``answer`` for one claim and return the claims that follow from it."""
        row = replace(answer, identity=claim.identity, site=claim.site, page_url=claim.page_url)
        if not _same_outcome(self._recorded.get(claim.key), row):
            self._ledger.append(row)
            self._recorded[claim.key] = row
        if row.cause is not None:
            self._failed[claim.is_page][row.cause] += 1
            return []
        if isinstance(row, PageRow):
            self._pages += 1
            return _claims_on(row, claim)
        if isinstance(row, ImageRow):
            self._stored += 1
            self._size_bytes += row.size_bytes or 0
        return []


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _same_outcome(old: UrlRow | None, new: UrlRow) -> bool:
    """Whether the ledger already says this; when and on which page does not matter."""
    return (
        old is not None
        and replace(old, fetched_at=new.fetched_at, page_url=new.page_url, site=new.site) == new
    )


def _claims_on(page: PageRow, claim: Claim) -> list[Claim]:
    """Return the claims on what a page links: its images in page order, then the next page."""
    images = [
        Claim(identity=claim.identity, site=claim.site, url=url, page_url=page.url)
        for url in page.image_urls
    ]
    if page.next_url is None:
        return images
    following = Claim(
        identity=claim.identity,
        site=claim.site,
        url=page.next_url,
        page_url=page.url,
        page_number=claim.page_number + 1,
    )
    return [*images, following]
