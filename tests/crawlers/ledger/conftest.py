"""A crawl ledger in a folder of its own, and short ways to claim and to answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from crawlers.causes import Cause
from crawlers.ledger.ledger import CrawlLedger
from crawlers.ledger.rows import Claim, CrawlRules, Outcome, Pending, Result
from crawlers.spiders.page_content import FoundImage, PageContent, Rights

FETCHED_AT = "2026-01-01T00:00:00+00:00"
JPEG = b"\xff\xd8\xff"


@dataclass
class Crawl:
    """A ledger, and a site that answers what it is told to."""

    folder: Path
    max_pages: int = 2
    licences: frozenset[str] | None = None
    listed: frozenset[str] | None = None
    shard_bytes: int = 1 << 20
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Pending] = field(default_factory=list)
    fetched_at: str = FETCHED_AT
    ledger: CrawlLedger = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Open the ledger, with the rules that hold now."""
        rules = CrawlRules(
            refusal=self.refusal,
            digest=f"{self.max_pages} {self.licences} {self.listed}",
            spiders={"s": "gallery", "t": "json-api"},
            spider_version="1.0",
        )
        self.ledger = CrawlLedger.open(
            self.folder, rules, patience_s=0, shard_bytes=self.shard_bytes
        )

    def reopen(self, **changes: Any) -> None:
        """Close the ledger and open it with other rules."""
        self.ledger.close()
        for name, value in changes.items():
            setattr(self, name, value)
        self.open()

    def refusal(self, claim: Claim) -> Cause | None:
        """Refuse what is not of x.org or y.org, too deep, of a bad licence or not listed."""
        if self.listed is not None and claim.identity not in self.listed:
            return Cause.NOT_LISTED
        if not claim.url.startswith(("https://x.org", "https://y.org")):
            return Cause.OFF_SITE
        if claim.page_number > self.max_pages:
            return Cause.PAGE_LIMIT
        if self.licences is None or claim.is_page or claim.rights.licence in self.licences:
            return None
        return Cause.LICENCE_REFUSED

    def pending(self, **limits: Any) -> list[Pending]:
        """What the ledger hands out, within wide limits."""
        return self.ledger.pending(**({"per_host": 1_000, "hosts": 1_000} | limits))

    def run(self) -> list[str]:
        """Answer all that is pending until nothing is; return the URLs in the order asked."""
        asked = []
        while batch := self.pending():
            for pending in batch:
                asked.append(pending.url)
                self.asked.append(pending)
                self.answer(pending, self.answers.get(pending.url, Cause.NOT_FOUND))
        return asked

    def answer(self, pending: Pending, answer: Any, **facts: Any) -> None:
        """Record a body, a page's content, a cause, or ``304``."""
        outcome: dict[str, Any] = {"url": pending.url, "fetched_at": self.fetched_at}
        bodies: Mapping[str, bytes] = {}
        content = None
        if isinstance(answer, bytes):
            sha256 = hashlib.sha256(answer).hexdigest()
            bodies = {sha256: answer}
            outcome |= {"sha256": sha256, "size_bytes": len(answer), "http_status": 200}
        elif isinstance(answer, PageContent):
            content = answer
        elif isinstance(answer, Cause):
            outcome["cause"] = answer
        else:
            outcome |= {"is_unchanged": True, "http_status": answer}
        result = Result(pending=pending, outcome=Outcome(**outcome | facts), content=content)
        self.ledger.record([result], self.ledger.store(bodies))

    def fates(self) -> set[tuple[str, str, str, str | None, str | None]]:
        """Identity, URL, state, cause and digest of every claim, each of them once."""
        accounts = list(self.ledger.accounts())
        fates = {(a.identity, a.url, a.state.value, a.cause, a.sha256) for a in accounts}
        assert len({(a.identity, a.url, a.site if a.is_page else "") for a in accounts}) == len(
            accounts
        )
        return fates


@pytest.fixture
def crawl(tmp_path: Path) -> Iterator[Crawl]:
    """An empty ledger below the test's folder."""
    crawl = Crawl(tmp_path / "crawl")
    yield crawl
    crawl.ledger.close()


@pytest.fixture
def start() -> Callable[..., Claim]:
    """Make the claim of a person on their start page, or another page."""

    def make(identity: str, url: str = "", number: int = 1, site: str = "s") -> Claim:
        address = url or f"https://x.org/{identity.lower()}"
        return Claim(identity=identity, site=site, url=address, page_number=number)

    return make


@pytest.fixture
def page() -> Callable[..., PageContent]:
    """Make what a page shows: images, under a licence, and pages to be read next."""

    def make(*images: str, following: tuple[str, ...] = (), licence: str | None = None) -> Any:
        found = tuple(FoundImage(url=url, rights=Rights(licence=licence)) for url in images)
        return PageContent(images=found, next_urls=following)

    return make


@pytest.fixture
def body() -> Callable[[str], bytes]:
    """Make bytes that begin as a JPEG does."""
    return lambda text: JPEG + text.encode()
