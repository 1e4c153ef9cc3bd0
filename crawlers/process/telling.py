"""How the child says how far it is: one JSON line now and then, on standard output."""

from __future__ import annotations

import asyncio
import sys
import time

from crawlers.counts import CrawlCounts, CrawlProgress, largest_first
from crawlers.ledger.ledger import CrawlLedger
from crawlers.network.fetcher import Fetcher
from crawlers.process.meter import Meter

_EVERY_S = 0.5
_HOSTS_TOLD = 30
# Counting by host may take a while when there are many: a fiftieth of the time at most.
_RESTS_PER_COUNT = 50


class Teller:
    """Tells the parent about one partition's crawl."""

    def __init__(self, ledger: CrawlLedger, fetcher: Fetcher) -> None:
        self.meter = Meter(time.monotonic())
        self._ledger = ledger
        self._fetcher = fetcher
        self._hosts: dict[str, CrawlCounts] = {}
        self._count_hosts_at = 0.0

    async def tell_always(self) -> None:
        """Write a line twice a second, until cancelled."""
        while True:
            self.tell()
            await asyncio.sleep(_EVERY_S)

    def tell(self, *, is_last: bool = False) -> None:
        """Write one line; the last one says how things stand at the end."""
        now = time.monotonic()
        if is_last or now >= self._count_hosts_at:
            self._hosts = largest_first(self._ledger.by_host(), _HOSTS_TOLD)
            took = time.monotonic() - now
            self._count_hosts_at = now + _RESTS_PER_COUNT * took
        rate = self.meter.rate(now)
        progress = CrawlProgress(
            counts=self._ledger.counts(),
            hosts=self._hosts,
            urls_per_s=rate.urls_per_s,
            bytes_per_s=rate.bytes_per_s,
            out_s=self._fetcher.outage.out_s(asyncio.get_running_loop().time()),
        )
        sys.stdout.write(progress.to_json() + "\n")
        sys.stdout.flush()
