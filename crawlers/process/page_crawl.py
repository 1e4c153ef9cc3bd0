"""The spiders of a partition: one Scrapy crawler for each site that has pages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scrapy import signals
from scrapy.crawler import AsyncCrawlerRunner

from crawlers.ledger.rows import Pending
from crawlers.process.scrapy_spider import SCRAPY_SETTINGS, PageSpider
from crawlers.process.spider_task import SpiderTask


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spider:
    task: SpiderTask
    running: asyncio.Task[None]


class PageCrawl:
    """Runs the spiders; pages are put into it and come out through their ``settle``."""

    def __init__(self) -> None:
        self._runner = AsyncCrawlerRunner(SCRAPY_SETTINGS)
        self._spiders: dict[str, _Spider] = {}

    def start(self, site: str, task: SpiderTask) -> None:
        """Start the spider of a site."""
        crawler = self._runner.create_crawler(PageSpider)

        def on_error(failure: Any, response: Any) -> None:
            task.on_defect(response.url if response is not None else site, failure.value)

        # Kept by the closure below: Scrapy holds receivers weakly.
        crawler.signals.connect(on_error, signal=signals.spider_error, weak=False)
        running = self._runner.crawl(crawler, task=task)
        self._spiders[site] = _Spider(task=task, running=running)

    def put(self, page: Pending) -> None:
        """Have a page read."""
        self._spiders[page.site].task.pages.put_nowait(page)

    async def end(self) -> None:
        """Let the spiders finish what is under way, and end them."""
        for spider in self._spiders.values():
            _drain(spider.task.pages)
            spider.task.pages.put_nowait(None)
        await _all(spider.running for spider in self._spiders.values())

    async def abort(self) -> None:
        """End the spiders at once."""
        for spider in self._spiders.values():
            spider.running.cancel()
        await _all(spider.running for spider in self._spiders.values())


def _drain(pages: asyncio.Queue[Pending | None]) -> None:
    while not pages.empty():
        pages.get_nowait()


async def _all(tasks: Iterable[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
