"""robots.txt, obeyed by Scrapy's own middleware; what it forbids is told apart from other drops."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.robotstxt import RobotParser
from scrapy.utils.httpobj import urlparse_cached


class RobotsForbiddenError(IgnoreRequest):  # type: ignore[misc]
    """The site's robots.txt forbids this URL."""


class RobotsGate(RobotsTxtMiddleware):  # type: ignore[misc]
    """Scrapy's middleware with a refusal of its own kind, so that it can be counted."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._one_at_a_time: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def process_request(self, request: Request) -> None:
        """Let the request through, or raise :class:`RobotsForbiddenError`."""
        try:
            await super().process_request(request)
        except IgnoreRequest as refusal:
            raise RobotsForbiddenError(str(refusal)) from refusal

    async def robot_parser(self, request: Request) -> RobotParser | None:
        """Return the rules of the request's host, ``None`` when it has none.

        Requests that wait for the same robots.txt wait in line. Scrapy lets them share one
        Deferred, which gives its result to the first and ``None``, as if all were allowed, to
        the others.
        """
        async with self._one_at_a_time[urlparse_cached(request).netloc]:
            return await super().robot_parser(request)
