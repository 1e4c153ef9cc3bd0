"""The step that crawls: every source of a recipe whose images are fetched from the web."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crawlers.ingest import crawl_folder
from crawlers.process.partitions import Partition
from crawlers.run import CrawlJob, CrawlResult, crawl
from facedata.sources import CrawlSource, UrlsSource
from flows.crawl_progress import CrawlTold
from flows.job import Job
from flows.progress import Reporter

_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlOptions:
    """What a command says beside the recipe.

    ``partition`` is the only one to crawl here, as ``K/N``. ``retry_failed`` and ``refresh_days``
    stand for the recipe's own where they are given.
    """

    partition: str | None = None
    retry_failed: bool = False
    refresh_days: float | None = None


def crawl_jobs(job: Job, options: CrawlOptions) -> list[CrawlJob]:
    """Return what there is to crawl for a recipe, source by source.

    Raises:
        RequestError: when the partition is none, or not one of a source's.
    """
    only = None if options.partition is None else Partition.parse(options.partition)
    named = zip(job.recipe.source_names(), job.resolved.sources, strict=True)
    fetched = [(name, source.crawl or source.urls) for name, source in named]
    return [
        CrawlJob(
            source=_with_options(source, options),
            out=job.storage().local_path(crawl_folder(name)),
            name=name,
            licences=job.recipe.licences,
            only=only,
        )
        for name, source in fetched
        if source is not None
    ]


def crawl_sources(
    job: Job, reporter: Reporter, options: CrawlOptions = CrawlOptions()
) -> dict[str, Any]:
    """Crawl source by source; what an earlier run fetched is not fetched again.

    Raises:
        RequestError: when a list, a sites file or the partition is not usable.
        CrawlError: when a crawl failed.
    """
    counts: dict[str, Any] = {}
    for one in crawl_jobs(job, options):
        told = CrawlTold(reporter, one.name)
        result = crawl(one, on_progress=told.add)
        told.end(result.counts, result.hosts)
        if result.without_images:
            missing = ", ".join(result.without_images[:_NAMES_SHOWN])
            count = len(result.without_images)
            reporter.say(f"crawl {one.name}: no image for {count} listed people: {missing}")
        counts[one.name] = _counted(result)
    return counts


def _with_options(
    source: CrawlSource | UrlsSource, options: CrawlOptions
) -> CrawlSource | UrlsSource:
    said: dict[str, Any] = {}
    if options.retry_failed:
        said["retry_failed"] = True
    if options.refresh_days is not None:
        said["refresh_days"] = options.refresh_days
    return source.model_copy(update=said)


def _counted(result: CrawlResult) -> dict[str, Any]:
    counts = result.counts
    return {
        "requested": counts.requested,
        "stored": counts.stored,
        "failed": dict(counts.failed),
        "pages": counts.pages,
        "pages_failed": dict(counts.pages_failed),
        "size_bytes": counts.size_bytes,
        "hosts": len(result.hosts),
        "without_images": list(result.without_images),
        "fetched_now": counts.fetched,
        "report": str(result.report),
    }
