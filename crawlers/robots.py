"""robots.txt, obeyed by Scrapy's own middleware; what it forbids is told apart from other drops."""

from __future__ import annotations

from scrapy import Request
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import IgnoreRequest


class RobotsForbiddenError(IgnoreRequest):  # type: ignore[misc]
    """The site's robots.txt forbids this URL."""


class RobotsGate(RobotsTxtMiddleware):  # type: ignore[misc]
    """Scrapy's middleware with a refusal of its own kind, so that it can be counted."""

    async def process_request(self, request: Request) -> None:
        """Let the request through, or raise :class:`RobotsForbiddenError`."""
        try:
            await super().process_request(request)
        except IgnoreRequest as refusal:
            raise RobotsForbiddenError(str(refusal)) from refusal
