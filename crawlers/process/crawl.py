"""The crawl of one partition, from what its ledger says is pending until nothing is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crawlers.causes import Cause
from crawlers.ledger.ledger import CrawlLedger
from crawlers.ledger.rows import Claim, Outcome, Pending, Result
from crawlers.ledger.writer import LedgerWriter
from crawlers.network.answer import Answer
from crawlers.network.fetcher import Fetcher
from crawlers.process.asks import Asks
from crawlers.process.evidence import judge_image, outcome_of
from crawlers.process.meter import Meter
from crawlers.process.spider_task import SpiderTask
from crawlers.process.wishes import Wishes
from crawlers.sites import Site, Sites
from crawlers.spiders.page_content import PageContent
from crawlers.spiders.readers import READERS, read_page
from facedata.errors import CrawlError, WinnowError

if TYPE_CHECKING:
    from crawlers.process.page_crawl import PageCrawl

_UNDER_WAY = 4_096
_FEWEST_PER_HOST = 16
_QUICK_PER_HOST = 256
_LOOK_AGAIN_S = 0.25
_GRACE_S = 8.0
_MOST_POSTPONED = 20
_LONGEST_OUTAGE_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a crawl works with; whoever makes them also closes them."""

    ledger: CrawlLedger
    writer: LedgerWriter
    fetcher: Fetcher


class PartitionCrawl:
    """One run: hands what is pending to spiders and image tasks, in bounded numbers."""

    def __init__(self, sites: Sites, partitions: int, tools: Tools, meter: Meter) -> None:
        self._sites = sites
        self._asks = Asks(sites, partitions)
        self._tools = tools
        self._meter = meter
        self._pages: PageCrawl | None = None
        self._images: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._answered = 0
        self._enough = 0
        self._moved = asyncio.Event()
        self._problem: WinnowError | None = None
        self._is_stopping = False

    async def run(self, wishes: Wishes) -> None:
        """Crawl for ``wishes``, and for what earlier runs left, until everything is settled.

        Raises:
            WinnowError: when it stopped before that.
        """
        self._start_spiders()
        claiming = asyncio.create_task(self._claim(wishes))
        await self._feed(claiming)
        await self._finish()
        await claiming
        if self._problem is not None:
            raise self._problem
        if self._is_stopping:
            raise _stopped()

    def stop(self, problem: WinnowError | None = None) -> None:
        """Ask for nothing more, finish what is under way and end; ``problem`` says why."""
        self._problem = self._problem or problem
        self._is_stopping = True
        self._moved.set()

    def _start_spiders(self) -> None:
        sites = [site for site in self._sites.sites if site.spider in READERS]
        if not sites:
            return
        # A list of URLs has no pages, and need not wait for Scrapy to load.
        from crawlers.process.page_crawl import PageCrawl

        self._pages = PageCrawl()
        for site in sites:
            self._pages.start(site.name, self._spider_task(site))

    async def _claim(self, wishes: Wishes) -> None:
        """Take up claims beside the crawl: a list may be long."""
        try:
            await asyncio.to_thread(self._take_up, wishes)
        except WinnowError as error:
            self.stop(error)
        self._moved.set()

    def _take_up(self, wishes: Wishes) -> None:
        self._tools.ledger.add_list(self._until_stopped(wishes.claims()), wishes.digest())

    def _until_stopped(self, claims: Iterable[Claim]) -> Iterator[Claim]:
        for claim in claims:
            if self._is_stopping:
                raise _stopped()
            yield claim

    async def _feed(self, claiming: asyncio.Task[None]) -> None:
        per_host = self._most_per_host()
        while not self._is_stopping:
            self._stop_when_out()
            has_all_claims = claiming.done()
            while (hosts := (_UNDER_WAY - self._under_way) // per_host) > 0:
                taken = self._tools.ledger.pending(per_host=per_host, hosts=hosts)
                for pending in taken:
                    self._begin(pending)
                if not taken:
                    break
            if has_all_claims and not self._under_way and self._tools.ledger.is_settled():
                return
            await self._until_room()

    def _stop_when_out(self) -> None:
        """What waits for the network for long is left for the next run: nobody refused it."""
        outage = self._tools.fetcher.outage
        if outage.out_s(asyncio.get_running_loop().time()) > _LONGEST_OUTAGE_S:
            hosts = ", ".join(outage.unreached[:3])
            self.stop(
                CrawlError(
                    f"no host could be reached for {_LONGEST_OUTAGE_S / 60:.0f} minutes, such as "
                    f"{hosts}; see that this machine is online, and run the crawl again to go on"
                )
            )

    def _most_per_host(self) -> int:
        """How many URLs of one host may be under way: asked for, waiting their turn or written."""
        most = max((site.concurrency for site in self._sites.sites), default=1)
        is_quick = any(site.delay_s == 0 for site in self._sites.sites)
        return max(4 * most, _QUICK_PER_HOST if is_quick else _FEWEST_PER_HOST)

    async def _until_room(self) -> None:
        """Wait until a good part of what is under way is answered, or a moment has passed."""
        self._moved.clear()
        self._enough = self._answered + max(1, self._under_way // 4)
        if self._is_stopping:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._moved.wait(), _LOOK_AGAIN_S)

    def _begin(self, pending: Pending) -> None:
        self._under_way += 1
        if pending.is_page and self._pages is not None:
            self._pages.put(pending)
            return
        task = asyncio.create_task(self._fetch_image(pending))
        self._images.add(task)
        task.add_done_callback(self._image_ended)

    async def _fetch_image(self, pending: Pending) -> None:
        judged = judge_image(await self._tools.fetcher.fetch(self._asks.of(pending)))
        result = Result(pending=pending, outcome=judged.outcome)
        await self._record(result, judged.body)

    def _image_ended(self, task: asyncio.Task[None]) -> None:
        self._images.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_defect("an image", error)

    async def _settle_page(
        self, pending: Pending, answer: Answer, content: PageContent | None
    ) -> None:
        outcome = outcome_of(answer)
        if content is not None and content.retry_after_s is not None:
            outcome, content = _patient(pending, outcome, content)
        await self._record(Result(pending=pending, outcome=outcome, content=content), None)

    async def _fetch(self, pending: Pending) -> Answer:
        return await self._tools.fetcher.fetch(self._asks.of(pending))

    async def _record(self, result: Result, body: bytes | None) -> None:
        try:
            await self._tools.writer.put(result, body)
        except WinnowError as error:
            self.stop(error)
        self._meter.add(len(body or b""))
        self._under_way -= 1
        self._answered += 1
        if self._answered >= self._enough:
            self._moved.set()

    async def _finish(self) -> None:
        """End the spiders and the image tasks: in peace when there is nothing left to do."""
        pages = [] if self._pages is None else [self._pages.end()]
        ending = asyncio.gather(*pages, *self._images, return_exceptions=True)
        try:
            await asyncio.wait_for(asyncio.shield(ending), _GRACE_S if self._is_stopping else None)
        except TimeoutError:
            for task in self._images:
                task.cancel()
            if self._pages is not None:
                await self._pages.abort()
            await ending

    def _spider_task(self, site: Site) -> SpiderTask:
        return SpiderTask(
            pages=asyncio.Queue(),
            fetch=self._fetch,
            read=lambda page: read_page(site, page),
            settle=self._settle_page,
            on_defect=self._on_defect,
            robots_name=self._sites.user_agent,
        )

    def _on_defect(self, where: str, error: BaseException) -> None:
        self.stop(
            CrawlError(
                f"crawler defect at {where}: {type(error).__name__}: {error}; please report it"
            )
        )


def _stopped() -> CrawlError:
    return CrawlError("crawl stopped before it was complete; run it again to go on")


def _patient(
    pending: Pending, outcome: Outcome, content: PageContent
) -> tuple[Outcome, PageContent | None]:
    """Give up a page that asked for patience too often."""
    if pending.postponed < _MOST_POSTPONED:
        return outcome, content
    detail = f"asked to come back later {pending.postponed} times"
    return replace(outcome, cause=Cause.RATE_LIMITED, detail=detail), None
