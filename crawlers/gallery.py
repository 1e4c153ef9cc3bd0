"""The gallery spider: listing pages per person, images found by selectors, pages by a next link."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import scrapy
from OpenSSL import SSL
from scrapy import exceptions
from scrapy.http import HtmlResponse, Request, Response
from twisted.internet.error import ConnectError, ConnectionClosed
from w3lib.url import safe_url_string

from crawlers.causes import Cause, cause_of_status
from crawlers.content import sniff_image
from crawlers.frontier import Claim, Frontier, now
from crawlers.job_file import StartPage
from crawlers.raw_store import RawStore
from crawlers.resolver import was_refused
from crawlers.robots import RobotsForbiddenError
from crawlers.sites import ElementSelector, Site
from crawlers.url_ledger import ImageRow, PageRow, UrlRow

SPIDER_NAME = "gallery"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PAGE_BYTES = 16 << 20
_SHOWN_CHARACTERS = 200
_IMAGE_HEADERS = {"Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
_CAUSES: tuple[tuple[type[Exception], Cause], ...] = (
    (RobotsForbiddenError, Cause.ROBOTS_FORBIDDEN),
    # The only other thing ignored is a compressed body that grows past the limit.
    (exceptions.IgnoreRequest, Cause.TOO_LARGE),
    (exceptions.DownloadCancelledError, Cause.TOO_LARGE),
    (exceptions.DownloadTimeoutError, Cause.TIMEOUT),
    (exceptions.ResponseDataLossError, Cause.TRUNCATED),
    (exceptions.CannotResolveHostError, Cause.UNKNOWN_HOST),
    (exceptions.DownloadConnectionRefusedError, Cause.CONNECTION_FAILED),
    (exceptions.DownloadFailedError, Cause.CONNECTION_FAILED),
    (ConnectError, Cause.CONNECTION_FAILED),
    (ConnectionClosed, Cause.CONNECTION_FAILED),
    (OSError, Cause.CONNECTION_FAILED),
    (SSL.Error, Cause.CONNECTION_FAILED),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiderTask:
    """What one spider works on: its site, its start pages, and what all spiders share.

    ``on_progress`` is called after each answer, ``on_storage_error`` once nothing can be written.
    """

    site: Site
    starts: tuple[StartPage, ...]
    frontier: Frontier
    store: RawStore
    on_progress: Callable[[], None]
    on_storage_error: Callable[[OSError], None]


class GallerySpider(scrapy.Spider):  # type: ignore[misc]
    """Crawls one site; every answer and every failure becomes a ledger row."""

    name = SPIDER_NAME

    def __init__(self, task: SpiderTask, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._task = task

    async def start(self) -> AsyncIterator[Request]:
        """Ask for the start pages, or for what an earlier run left open below them."""
        for start in self._task.starts:
            claim = Claim(identity=start.identity, site=start.site, url=start.url, page_number=1)
            for request in self._requests(partial(self._task.frontier.want, [claim])):
                yield request

    def answered(self, response: Response, claim: Claim, redirects: int) -> Iterator[Request]:
        """Handle any HTTP answer: follow a redirect, or record a page, an image or a failure."""
        if response.status in _REDIRECTS:
            target = self._redirect_target(response)
            cause = self._redirect_refusal(target, redirects)
            if cause is None:
                yield self._request(claim, target, redirects + 1)
                return
            yield from self._settle(claim, response, cause=cause, detail=target[:_SHOWN_CHARACTERS])
        elif (cause := cause_of_status(response.status)) is not None:
            yield from self._settle(claim, response, cause=cause)
        elif claim.is_page:
            yield from self._read_page(claim, response)
        else:
            yield from self._store_image(claim, response)

    def failed(self, failure: Any) -> Iterator[Request]:
        """Record a request that had no answer."""
        claim: Claim = failure.request.cb_kwargs["claim"]
        error = failure.value
        cause = next(
            (cause for kind, cause in _CAUSES if isinstance(error, kind)), Cause.UNEXPECTED
        )
        if cause is Cause.UNKNOWN_HOST and was_refused(urlsplit(failure.request.url).hostname):
            cause = Cause.PRIVATE_ADDRESS
        detail = f"{type(error).__name__}: {' '.join(str(error).split())}"[:_SHOWN_CHARACTERS]
        yield from self._settle(claim, None, cause=cause, detail=detail)

    def _read_page(self, claim: Claim, response: Response) -> Iterator[Request]:
        if not isinstance(response, HtmlResponse):
            yield from self._settle(claim, response, cause=Cause.NOT_A_PAGE)
            return
        images = list(_links(response, self._task.site.images))
        following = list(_links(response, self._task.site.next_page))
        found = tuple(dict.fromkeys(url for url in images if url is not None))
        yield from self._settle(
            claim,
            response,
            image_urls=found,
            next_url=next((url for url in following if url is not None), None),
            without_url=images.count(None),
        )

    def _store_image(self, claim: Claim, response: Response) -> Iterator[Request]:
        body = response.body
        if not body:
            yield from self._settle(claim, response, cause=Cause.EMPTY)
        elif sniff_image(body) is None:
            yield from self._settle(claim, response, cause=Cause.NOT_AN_IMAGE)
        else:
            try:
                sha256 = self._task.store.put(body)
            except OSError as error:
                raise self._stopped(error) from error
            yield from self._settle(claim, response, sha256=sha256, size_bytes=len(body))

    def _settle(self, claim: Claim, response: Response | None, **facts: Any) -> Iterator[Request]:
        """Record what came of a claim and ask for what follows from it."""
        row = _row(claim, response, facts)
        yield from self._requests(partial(self._task.frontier.settle, claim, row))
        self._task.on_progress()

    def _requests(self, step: Callable[[], Iterable[Claim]]) -> Iterator[Request]:
        try:
            claims = step()
        except OSError as error:
            raise self._stopped(error) from error
        for claim in claims:
            yield self._request(claim, claim.url, redirects=0)

    def _stopped(self, error: OSError) -> exceptions.CloseSpider:
        self._task.on_storage_error(error)
        return exceptions.CloseSpider("storage")

    def _request(self, claim: Claim, url: str, redirects: int) -> Request:
        site = self._task.site
        return Request(
            url,
            callback=self.answered,
            errback=self.failed,
            cb_kwargs={"claim": claim, "redirects": redirects},
            headers=None if claim.is_page else _IMAGE_HEADERS,
            # Redirects and statuses are handled here, where each outcome is recorded.
            meta={
                "dont_redirect": True,
                "handle_httpstatus_all": True,
                "download_maxsize": _PAGE_BYTES if claim.is_page else site.max_image_bytes,
            },
            dont_filter=True,
        )

    def _redirect_target(self, response: Response) -> str:
        location = response.headers.get("Location", b"").decode("latin-1").strip()
        return _absolute(response.url, location) if location else ""

    def _redirect_refusal(self, target: str, redirects: int) -> Cause | None:
        if not target.startswith(("http://", "https://")):
            return Cause.BAD_REDIRECT
        if redirects >= self._task.site.max_redirects:
            return Cause.TOO_MANY_REDIRECTS
        return None if self._task.site.allows(target) else Cause.REDIRECT_OFF_SITE


def _row(claim: Claim, response: Response | None, facts: dict[str, Any]) -> UrlRow:
    """Return the ledger row of a claim; ``response`` is ``None`` when there was no answer."""
    row_type = PageRow if claim.is_page else ImageRow
    if response is not None:
        content_type = response.headers.get("Content-Type")
        facts |= {
            "http_status": response.status,
            "content_type": content_type.decode("latin-1") if content_type else None,
            "final_url": response.url if response.url != claim.url else None,
        }
    return row_type(
        identity=claim.identity,
        site=claim.site,
        spider=SPIDER_NAME,
        url=claim.url,
        page_url=claim.page_url,
        fetched_at=now(),
        **facts,
    )


def _links(page: HtmlResponse, selector: ElementSelector | None) -> Iterator[str | None]:
    """Yield the absolute URL of each selected element, ``None`` for one without the attribute."""
    if selector is None:
        return
    elements = page.css(selector.css) if selector.css is not None else page.xpath(selector.xpath)
    base = page.urljoin("")
    for element in elements:
        link = (element.attrib.get(selector.attribute) or "").strip()
        yield _absolute(base, link) if link else None


def _absolute(base: str, link: str) -> str:
    """Return ``link`` as an absolute URL without fragment; one that is none stays as it is."""
    try:
        url: str = urldefrag(safe_url_string(urljoin(base, link))).url
    except ValueError:
        return link[:_SHOWN_CHARACTERS]
    return url if url.startswith(("http://", "https://")) else url[:_SHOWN_CHARACTERS]
