"""A crawl whose machine has no network: nothing counts as failed because of it."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from crawlers.counts import CrawlCounts
from crawlers.ledger.ledger import CrawlLedger
from crawlers.ledger.writer import LedgerWriter
from crawlers.network.fetcher import Fetcher
from crawlers.network.outage import OutageLimits
from crawlers.network.pacing import PacingLimits
from crawlers.network.user_agent import UserAgent
from crawlers.process import crawl as crawl_module
from crawlers.process.crawl import PartitionCrawl, Tools
from crawlers.process.meter import Meter
from crawlers.process.partitions import Partition
from crawlers.process.planning import make_job, plan_crawl
from crawlers.process.rules import crawl_rules
from crawlers.process.wishes import Wishes
from facedata.errors import CrawlError
from facedata.sources import UrlsSource

IMAGES = 24
ROBOT = UserAgent(header="Winnow/0 (+https://example.org/crawl)", robots_name="Winnow")


def test_a_crawl_without_network_stops_and_the_next_goes_on(
    odd_site: Any,
    respond: Any,
    image_bytes: Any,
    names: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd_site.routes |= {f"/{n}": respond(image_bytes(n)) for n in range(IMAGES)}
    port = odd_site.host.rpartition(":")[2]
    hosts = [f"{name}.test:{port}" for name in ("a", "b", "c")]
    rows = [f"Ada,http://{hosts[n % 3]}/{n}" for n in range(IMAGES)]
    path = tmp_path / "urls.csv"
    path.write_text("\n".join(["identity,url", *rows]))
    source = UrlsSource(
        path=str(path),
        contact="https://example.org/crawl",
        author="The tests",
        purpose="Testing the crawler",
        delay_s=0,
        allow_private=tuple(hosts),
    )
    monkeypatch.setattr(crawl_module, "_LONGEST_OUTAGE_S", 0.5)
    monkeypatch.setattr(crawl_module, "_GRACE_S", 0.2)

    names.is_out = True
    with pytest.raises(
        CrawlError, match=r"no host could be reached.*[abc]\.test:\d+.*run the crawl again"
    ):
        crawl(source, tmp_path, names)
    assert odd_site.requests == []
    with closing(ledger_of(source, tmp_path)) as ledger:
        assert ledger.counts() == CrawlCounts(requested=IMAGES)

    names.is_out = False
    assert crawl(source, tmp_path, names).stored == IMAGES


def ledger_of(source: UrlsSource, folder: Path) -> CrawlLedger:
    job = make_job(plan_crawl(source), "urls", Partition(), ())
    return CrawlLedger.open(folder / "crawl", crawl_rules(job, "0"))


def crawl(source: UrlsSource, folder: Path, names: Any) -> CrawlCounts:
    job = make_job(plan_crawl(source), "urls", Partition(), ())
    wishes = Wishes(job=job, path=folder / "job.json")

    async def run(ledger: CrawlLedger) -> None:
        writer, outage = LedgerWriter(ledger), OutageLimits(pauses_s=(0.1,))
        keys: dict[str, Any] = {"resolver": names, "outage": outage, "limits": PacingLimits()}
        async with Fetcher(ROBOT, **keys) as fetcher:
            tools = Tools(ledger=ledger, writer=writer, fetcher=fetcher)
            try:
                await PartitionCrawl(job.sites, 1, tools, Meter(time.monotonic())).run(wishes)
            finally:
                await writer.close()

    with closing(ledger_of(source, folder)) as ledger:
        asyncio.run(run(ledger))
        return ledger.counts()
