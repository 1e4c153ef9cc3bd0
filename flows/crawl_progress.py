"""How far a crawl is: bars or lines for people, and a table in the flow run that updates itself."""

from __future__ import annotations

import json
import time
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.context import FlowRunContext

from crawlers.counts import CrawlCounts, CrawlProgress, largest_first
from crawlers.process.report import in_bytes, in_time
from crawlers.process.wording import is_refusal
from flows.progress import Reporter

_LINE_SECONDS = 10.0
_ARTIFACT_SECONDS = 15.0
_BARS = 8
_TABLE_ROWS = 50

Row = dict[str, str | int]


class CrawlTold:
    """Tells how one source's crawl goes."""

    def __init__(self, reporter: Reporter, source: str) -> None:
        self._reporter = reporter
        self._source = source
        self._said = 0.0
        self._sent = 0.0
        self._artifact: UUID | None = None

    def add(self, progress: CrawlProgress) -> None:
        """Take in a report of the crawl while it runs."""
        now = time.monotonic()
        if self._reporter.has_bars:
            self._draw(progress)
        elif now - self._said >= _LINE_SECONDS:
            self._said = now
            self._reporter.say(f"crawl {self._source}: {describe(progress)}")
        if now - self._sent >= _ARTIFACT_SECONDS:
            self._sent = now
            self._send(progress)

    def end(self, counts: CrawlCounts, hosts: dict[str, CrawlCounts]) -> None:
        """Say what the crawl came to, in all and by host."""
        progress = CrawlProgress(counts=counts, hosts=hosts)
        self._send(progress)
        if self._reporter.has_bars:
            self._draw(progress)
        self._reporter.say(f"crawl {self._source}: {describe(progress)}")
        for row in table_rows(progress)[:_BARS] if len(hosts) > 1 else ():
            facts = ", ".join(f"{row[name]} {name}" for name in row if name != "host" and row[name])
            self._reporter.say(f"  {row['host']}: {facts}")

    def _draw(self, progress: CrawlProgress) -> None:
        counts = progress.counts
        note = describe(progress)
        self._reporter.track(self._source, counts.urls - counts.waiting, counts.urls, note)
        for host, one in list(progress.hosts.items())[:_BARS]:
            note = f"{in_bytes(one.size_bytes)}, {_failures(one)}"
            self._reporter.track(f"  {host}"[:40], one.urls - one.waiting, one.urls, note)

    def _send(self, progress: CrawlProgress) -> None:
        if FlowRunContext.get() is None:
            return
        rows = table_rows(progress)
        try:
            if self._artifact is None:
                key = "".join(mark if mark.isalnum() else "-" for mark in self._source.lower())
                made = create_table_artifact(rows, f"crawl-{key}", describe(progress))
                self._artifact = cast(UUID, made)
            else:
                update = ArtifactUpdate(description=describe(progress), data=json.dumps(rows))
                with get_client(sync_client=True) as client:
                    client.update_artifact(self._artifact, update)
        except (httpx.HTTPError, RuntimeError) as error:
            # As with events: the ledger is the truth, this is only news of it.
            self._reporter.say(f"progress was not sent to the Prefect server: {error}")


def describe(progress: CrawlProgress) -> str:
    """A report of a crawl in one line."""
    counts = progress.counts
    parts = [
        f"{counts.stored:,} of {counts.requested:,} images stored ({in_bytes(counts.size_bytes)})",
        f"{counts.pages:,} pages read",
        _failures(counts),
    ]
    if progress.urls_per_s > 0:
        parts.append(f"{progress.urls_per_s:.1f} URLs/s")
    if counts.waiting and progress.eta_s is not None:
        parts.append(f"at least {in_time(progress.eta_s)} left")
    if progress.out_s > 0:
        parts.append(f"no network for {in_time(progress.out_s)}: waiting")
    return ", ".join(parts)


def table_rows(progress: CrawlProgress) -> list[Row]:
    """One row for each of the largest hosts."""
    return [
        {
            "host": host or "no host",
            "pages": counts.pages,
            "images": counts.stored,
            "refusals": _refusals(counts),
            "failures": _failed(counts) - _refusals(counts),
            "waiting": counts.waiting,
            "bytes": in_bytes(counts.size_bytes),
        }
        for host, counts in largest_first(progress.hosts, _TABLE_ROWS).items()
    ]


def _failures(counts: CrawlCounts) -> str:
    refusals = _refusals(counts)
    return f"{refusals:,} held back, {_failed(counts) - refusals:,} failed"


def _failed(counts: CrawlCounts) -> int:
    return sum(counts.failed.values()) + sum(counts.pages_failed.values())


def _refusals(counts: CrawlCounts) -> int:
    both = [*counts.failed.items(), *counts.pages_failed.items()]
    return sum(number for cause, number in both if is_refusal(cause))
