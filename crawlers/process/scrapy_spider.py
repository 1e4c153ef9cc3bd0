"""The spider that reads pages: Scrapy runs one per site, with the reader of the site's kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import scrapy
from scrapy.http import Request, Response

from crawlers.ledger.rows import Pending
from crawlers.network.answer import Answer
from crawlers.process.spider_task import SpiderTask
from crawlers.spiders.page_content import FetchedPage

SCRAPY_SETTINGS: dict[str, Any] = {
    # The fetcher's asyncio loop is the only one.
    "TWISTED_REACTOR_ENABLED": False,
    "DOWNLOAD_HANDLERS": dict.fromkeys(("data", "file", "ftp", "s3"))
    | dict.fromkeys(("http", "https"), "crawlers.process.scrapy_handler.FetcherHandler"),
    # Robots, delays, redirects, retries and encodings are the fetcher's, as for images.
    "DOWNLOADER_MIDDLEWARES_BASE": {},
    "SPIDER_MIDDLEWARES_BASE": {},
    "EXTENSIONS_BASE": {},
    "DOWNLOAD_DELAY": 0,
    "CONCURRENT_REQUESTS": 1_000,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 1_000,
    # The ledger knows what was asked for.
    "DUPEFILTER_CLASS": "scrapy.dupefilters.BaseDupeFilter",
    "LOG_LEVEL": "WARNING",
}


class PageSpider(scrapy.Spider):  # type: ignore[misc]
    """Crawls the pages of one site; what they link comes back to it through the ledger."""

    name = "pages"

    def __init__(self, task: SpiderTask, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._task = task

    async def start(self) -> AsyncIterator[Request]:
        """Ask for pages as the ledger gives them."""
        while (page := await self._task.pages.get()) is not None:
            yield Request(
                page.url,
                callback=self.answered,
                errback=self.failed,
                cb_kwargs={"page": page},
                meta={"download_slot": self.name},
                dont_filter=True,
            )

    async def fetch(self, request: Request) -> Answer:
        """Ask the network; called by the download handler."""
        return await self._task.fetch(request.cb_kwargs["page"])

    async def answered(self, response: Response, page: Pending) -> None:
        """Read a page, and settle it."""
        answer: Answer = response.meta["answer"]
        content = None
        if answer.cause is None and not answer.is_unchanged:
            found = FetchedPage(
                url=answer.final_url or answer.url,
                body=answer.body,
                headers=answer.headers,
                robots_name=self._task.robots_name,
            )
            content = self._task.read(found)
        await self._task.settle(page, answer, content)

    def failed(self, failure: Any) -> None:
        """Say that a request came to no answer, which is a defect: the fetcher answers always."""
        self._task.on_defect(failure.request.url, failure.value)
