"""The spider that reads pages: Scrapy runs one per site, with the reader of the site's kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import scrapy
from scrapy.http import Request, Response, TextResponse

from crawlers.causes import Cause
from crawlers.ledger.rows import Pending
from crawlers.network.answer import Answer
from crawlers.spiders.page_content import PageContent

Reader = Callable[[str, str], PageContent]
"""From a page's URL and text to what it holds."""

SCRAPY_SETTINGS: dict[str, Any] = {
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiderTask:
    """What one spider works on.

    ``pages`` gives the pages to read, and then ``None``; ``fetch`` asks the network; ``settle``
    is told what came of each page; ``retries`` is how often a page that asks for patience is
    asked for again.
    """

    pages: asyncio.Queue[Pending | None]
    fetch: Callable[[Pending], Awaitable[Answer]]
    read: Reader
    settle: Callable[[Pending, Answer, PageContent | None], Awaitable[None]]
    on_defect: Callable[[str, BaseException], None]
    retries: int


class PageSpider(scrapy.Spider):  # type: ignore[misc]
    """Crawls the pages of one site; what they link comes back to it through the ledger."""

    name = "pages"

    def __init__(self, task: SpiderTask, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._task = task

    async def start(self) -> AsyncIterator[Request]:
        """Ask for pages as the ledger gives them."""
        while (page := await self._task.pages.get()) is not None:
            yield self._request(page, attempt=0)

    async def fetch(self, request: Request) -> Answer:
        """Ask the network; called by the download handler."""
        return await self._task.fetch(request.cb_kwargs["page"])

    async def answered(
        self, response: Response, page: Pending, attempt: int
    ) -> AsyncIterator[Request]:
        """Read a page and settle it, or ask again when it says to come later."""
        answer: Answer = response.meta["answer"]
        content = self._content(answer, response)
        wait_s = content.retry_after_s if content is not None else None
        if wait_s is not None and attempt < self._task.retries:
            await asyncio.sleep(wait_s)
            yield self._request(page, attempt + 1)
        else:
            await self._task.settle(page, answer, content)

    def failed(self, failure: Any) -> None:
        """A request that never came to an answer is a defect: the fetcher answers always."""
        self._task.on_defect(failure.request.url, failure.value)

    def _content(self, answer: Answer, response: Response) -> PageContent | None:
        if answer.cause is not None or answer.is_unchanged:
            return None
        if not isinstance(response, TextResponse):
            return PageContent(cause=Cause.NOT_A_PAGE)
        return self._task.read(answer.final_url or answer.url, response.text)

    def _request(self, page: Pending, attempt: int) -> Request:
        return Request(
            page.url,
            callback=self.answered,
            errback=self.failed,
            cb_kwargs={"page": page, "attempt": attempt},
            meta={"download_slot": self.name},
            dont_filter=True,
        )
