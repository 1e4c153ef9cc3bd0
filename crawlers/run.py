"""Crawling from the outside: run a source's partitions in child processes, list what they brought.

Each child resumes from its ledger: what an earlier run fetched is not fetched again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from crawlers.counts import CrawlCounts, CrawlProgress
from crawlers.crawled import check_layout, check_partitions, read_crawled, to_record
from crawlers.process.children import Children
from crawlers.process.partitions import Partition, all_partitions
from crawlers.process.planning import CrawlPlan, make_job, plan_crawl
from crawlers.process.report import CrawlReport, write_report
from facedata.errors import CrawlError, RequestError, WorkspaceError
from facedata.records import ImageRecord
from facedata.sources import CrawlSource, UrlsSource


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlJob:
    """What to crawl, and the local folder for bytes and ledgers.

    ``source`` has absolute paths; ``name`` is what the recipe calls it. ``only`` is the one
    partition to crawl on this machine; all are when it is null. Images whose licence is not in
    ``licences`` are not fetched; any is when it is empty.

    Raises:
        RequestError: when ``only`` is a part of another number of parts than the source's.
    """

    source: CrawlSource | UrlsSource
    out: Path
    name: str = "crawl"
    licences: tuple[str, ...] = ()
    only: Partition | None = None

    def __post_init__(self) -> None:
        """Check that the partition is one of this crawl."""
        if self.only is not None and self.only.total != self.source.partitions:
            raise RequestError(
                f"partition {self.only.number}/{self.only.total} was asked for, and the recipe "
                f"says partitions: {self.source.partitions} for {self.name}; give one of those"
            )

    @property
    def partitions(self) -> list[Partition]:
        """The parts that are crawled on this machine."""
        return all_partitions(self.source.partitions) if self.only is None else [self.only]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlResult:
    """What a complete crawl holds.

    ``counts`` and ``hosts`` are of all partitions that are here, ``fetched`` of this run.
    ``without_images`` are listed people with none stored. ``report`` is a page for people.
    """

    counts: CrawlCounts
    hosts: dict[str, CrawlCounts]
    without_images: tuple[str, ...]
    report: Path


def crawl(
    job: CrawlJob, *, on_progress: Callable[[CrawlProgress], None] | None = None
) -> CrawlResult:
    """Crawl in child processes until every page and image is stored or failed with a cause.

    ``on_progress`` is told how all partitions together are, with each report of a child. When this
    function is left early, by an interrupt or an error of ``on_progress``, the children are
    stopped too.

    Raises:
        SourceError: when a list or the sites file is not usable.
        RequestError: when the key of an interface is not in the environment.
        WorkspaceError: when ``job.out`` cannot be written to, or holds another division.
        CrawlError: when a child failed; the message is the last line of its log.
    """
    started = time.monotonic()
    plan = plan_crawl(job.source)
    check_layout(job.out)
    check_partitions(job.out, job.source.partitions)
    paths = [_written(job, plan, partition) for partition in job.partitions]
    secrets = [key.variable for key in plan.sites.api_keys]
    progress = _run_children(paths, secrets, on_progress)
    if progress.counts.waiting:
        raise CrawlError(f"the crawler lost count of its images ({progress}); please report it")
    return _account(job, plan, progress, time.monotonic() - started)


def list_crawl(
    out: Path, source: str, warn: Callable[[str], None] | None = None
) -> Iterator[ImageRecord]:
    """Yield one record per identity and URL stored below ``out``, sorted by both.

    Only people and sites of the latest job count, whatever the ledgers hold of earlier ones. The
    same bytes under two URLs are two records. ``warn`` is told of partitions that are not here.

    Raises:
        SourceError: when ``out`` holds no crawl.
        WorkspaceError: when it was made by an older version.
        IntegrityError: when a ledger is damaged or stored bytes are gone.
    """
    crawled = read_crawled(out)
    if crawled.missing and warn is not None:
        names = ", ".join(partition.folder for partition in crawled.missing[:5])
        warn(
            f"source {source}: {len(crawled.missing)} of "
            f"{len(crawled.missing) + len(crawled.parts)} partitions are not in this workspace "
            f"({names}); copy their folders into {out} when they are crawled"
        )
    return (to_record(image, source) for image in crawled.images())


def _written(job: CrawlJob, plan: CrawlPlan, partition: Partition) -> Path:
    folder = job.out / partition.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = make_job(plan, job.name, partition, job.licences)
        return file.write(folder, plan.starts(partition))
    except OSError as error:
        raise WorkspaceError(
            f"crawl folder {folder} cannot be written ({error.strerror}); "
            "choose a folder that you may write to, with room on its disk"
        ) from error


def _run_children(
    jobs: Sequence[Path],
    secrets: Sequence[str],
    on_progress: Callable[[CrawlProgress], None] | None,
) -> CrawlProgress:
    """Run a child for each job, as many at a time as there are cores; return their last report."""
    latest: dict[Path, CrawlProgress] = {}
    at_once = max(1, min(len(jobs), os.cpu_count() or 1))
    with Children(jobs, at_once, secrets) as children:
        for report in children.reports():
            latest[report.job] = report.progress
            if on_progress is not None:
                on_progress(CrawlProgress.total(latest.values()))
    return CrawlProgress.total(latest.values())


def _account(
    job: CrawlJob, plan: CrawlPlan, progress: CrawlProgress, seconds: float
) -> CrawlResult:
    """Say what all partitions here hold, and write it down for people."""
    crawled = read_crawled(job.out)
    counts, hosts = crawled.counts()
    counts = CrawlCounts.total([counts, CrawlCounts(fetched=progress.counts.fetched)])
    report = CrawlReport(
        source=job.name,
        written_at=datetime.now(UTC).isoformat(timespec="seconds"),
        people=plan.people,
        counts=counts,
        hosts=hosts,
        images_of=crawled.images_of(),
        seconds=seconds,
        partitions=job.source.partitions,
        missing_partitions=tuple(partition.folder for partition in crawled.missing),
        user_agent=f"{plan.sites.user_agent} (+{plan.sites.contact})",
        licences_allowed=job.licences,
    )
    try:
        path = write_report(report, job.out)
    except OSError as error:
        raise WorkspaceError(
            f"crawl report {job.out} cannot be written ({error.strerror}); make room and run again"
        ) from error
    return CrawlResult(
        counts=counts, hosts=hosts, without_images=tuple(report.without_images), report=path
    )
