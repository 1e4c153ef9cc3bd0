"""How Scrapy reaches the network: through the crawler's own fetcher, which keeps every rule."""

from __future__ import annotations

from scrapy import Request
from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.http import Headers, Response
from scrapy.responsetypes import responsetypes

from crawlers.network.answer import Answer

_NO_STATUS = 0
_SNIFFED_BYTES = 4_096


class FetcherHandler(BaseDownloadHandler):  # type: ignore[misc]
    """Hands a request to its spider's ``fetch`` and dresses the answer as Scrapy's response.

    Failures are answers too: the callback finds them, as everything else that the network said,
    in ``response.meta["answer"]``.
    """

    lazy = False

    async def download_request(self, request: Request) -> Response:
        """Return the response, of the class that its content type asks for."""
        answer: Answer = await self.crawler.spider.fetch(request)
        request.meta["answer"] = answer
        # The fetcher has undone the encoding: the body is what the content type says.
        fields = {name: text for name, text in answer.headers.items() if name != "content-encoding"}
        headers = Headers(fields)
        response_type = responsetypes.from_args(
            headers=headers, url=request.url, body=answer.body[:_SNIFFED_BYTES]
        )
        return response_type(
            url=answer.final_url or request.url,
            status=answer.status or _NO_STATUS,
            headers=headers,
            body=answer.body,
        )
