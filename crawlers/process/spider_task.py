"""What a spider of a partition works on; known without loading Scrapy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from crawlers.ledger.rows import Pending
from crawlers.network.answer import Answer
from crawlers.spiders.page_content import FetchedPage, PageContent


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiderTask:
    """What one spider works on.

    ``pages`` gives the pages to read, and then ``None``; ``fetch`` asks the network, ``read`` is
    the site's reader, ``settle`` is told what came of each page; ``on_defect`` is told of errors
    that nobody foresaw, with the URL. ``robots_name`` is who reads, for orders to crawlers.
    """

    pages: asyncio.Queue[Pending | None]
    fetch: Callable[[Pending], Awaitable[Answer]]
    read: Callable[[FetchedPage], PageContent]
    settle: Callable[[Pending, Answer, PageContent | None], Awaitable[None]]
    on_defect: Callable[[str, BaseException], None]
    robots_name: str
