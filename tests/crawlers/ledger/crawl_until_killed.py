"""A crawl that its test kills: ``python crawl_until_killed.py FOLDER`` prints what is recorded."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from crawlers.causes import Cause
from crawlers.ledger.ledger import CrawlLedger
from crawlers.ledger.rows import Claim, CrawlRules, Outcome, Pending, Result
from crawlers.ledger.writer import LedgerWriter
from crawlers.spiders.page_content import FoundImage, PageContent

SITE = "https://x.org"
_PEOPLE, _PAGES, _IMAGES = 12, 4, 10
_AT_ONCE = 16
_SHARD_BYTES = 60_000


def open_ledger(folder: Path) -> CrawlLedger:
    """Open the ledger of this crawl, in which everything may be asked for."""
    rules = CrawlRules(
        refusal=lambda _: None, digest="all", spiders={"s": "gallery"}, spider_version="1.0"
    )
    return CrawlLedger.open(folder, rules, shard_bytes=_SHARD_BYTES)


def start_claims() -> Iterator[Claim]:
    """The first page of every person, and some images of a list."""
    for person in range(_PEOPLE):
        identity = f"person {person}"
        yield Claim(identity=identity, site="s", url=f"{SITE}/{person}/page/0", page_number=1)
        yield Claim(identity=identity, site="s", url=f"{SITE}/shared/{person // 2}.jpg")


def answer_to(pending: Pending) -> tuple[Result, bytes | None]:
    """What the site answers, always the same."""
    outcome = Outcome(url=pending.url, fetched_at="2026-01-01T00:00:00+00:00", http_status=200)
    folder, _, name = pending.url.rpartition("/")
    if pending.is_page:
        number = int(name)
        images = tuple(
            FoundImage(url=f"{folder}/{number}-{n}.jpg", page_url=pending.url)
            for n in range(_IMAGES)
        )
        following = (f"{folder}/{number + 1}",) if number + 1 < _PAGES else ()
        content = PageContent(images=images, next_urls=following)
        return Result(pending=pending, outcome=outcome, content=content), None
    seed = hashlib.sha256(pending.url.encode()).digest()
    if seed[0] < 40:
        failed = Outcome(url=pending.url, fetched_at=outcome.fetched_at, cause=Cause.NOT_FOUND)
        return Result(pending=pending, outcome=failed), None
    body = b"\xff\xd8\xff" + seed * (20 + seed[1])
    stored = Outcome(
        url=pending.url,
        fetched_at=outcome.fetched_at,
        sha256=hashlib.sha256(body).hexdigest(),
        size_bytes=len(body),
    )
    return Result(pending=pending, outcome=stored), body


async def crawl(ledger: CrawlLedger) -> None:
    """Answer what is pending until nothing is; a line of output for each URL that is recorded."""
    writer = LedgerWriter(ledger)
    waiting: list[Pending] = []

    async def work() -> None:
        while not ledger.is_settled():
            if not waiting:
                waiting.extend(reversed(ledger.pending(per_host=_AT_ONCE, hosts=4)))
            if not waiting:
                await asyncio.sleep(0.002)
                continue
            pending = waiting.pop()
            await writer.put(*answer_to(pending))
            sys.stdout.write(f"{pending.url}\n")
            sys.stdout.flush()

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    await writer.close()


def main(folder: Path) -> None:
    """Crawl in a folder until everything is settled."""
    ledger = open_ledger(folder)
    ledger.add_claims(start_claims())
    asyncio.run(crawl(ledger))
    ledger.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
