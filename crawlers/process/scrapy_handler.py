"""How Scrapy reaches the network: through the crawler's own fetcher, which keeps every rule."""

from __future__ import annotations

from scrapy import Request
from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.http import Response

from crawlers.network.answer import Answer

_NO_STATUS = 0


class FetcherHandler(BaseDownloadHandler):  # type: ignore[misc]
    """Hands a request to its spider's ``fetch`` and dresses the answer as Scrapy's response.

    Failures are answers too: the callback finds them, as everything else that the network said,
    in ``response.meta["answer"]``.
    """

    lazy = False

    async def download_request(self, request: Request) -> Response:
        """Return the response to a request of a ``PageSpider``."""
        answer: Answer = await self.crawler.spider.fetch(request)
        request.meta["answer"] = answer
        return Response(
            answer.final_url or request.url, status=answer.status or _NO_STATUS, body=answer.body
        )
