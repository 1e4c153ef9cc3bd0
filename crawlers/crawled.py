"""What a crawl's folder holds: the partitions that are here, their counts and their images."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from crawlers.counts import CrawlCounts, total_by_host
from crawlers.job_file import JOB_NAME, JobFile, read_job
from crawlers.ledger.rows import StoredImage
from crawlers.ledger.view import LedgerView
from crawlers.process.partitions import Partition, all_partitions, partitions_in
from facedata.errors import SourceError, WorkspaceError
from facedata.records import ImageRecord

_OLD_LEDGER = "ledger.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawledPart:
    """One partition that is here, with the latest job that was run for it."""

    folder: Path
    job: JobFile

    def stored(self) -> Iterator[StoredImage]:
        """Yield its images, by identity and URL."""
        identities = None if self.job.identities is None else frozenset(self.job.identities)
        sites = frozenset(site.name for site in self.job.sites.sites)
        with LedgerView.read(self.folder) as ledger:
            yield from ledger.stored(identities, sites)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawled:
    """A crawl as far as its partitions are here; ``missing`` are crawled on other machines."""

    parts: tuple[CrawledPart, ...]
    missing: tuple[Partition, ...]

    def images(self) -> Iterator[StoredImage]:
        """Yield the stored images of all partitions here, sorted by identity and URL.

        Raises:
            IntegrityError: when a ledger is damaged or stored bytes are gone.
        """
        return heapq.merge(
            *(part.stored() for part in self.parts), key=lambda image: (image.identity, image.url)
        )

    def images_of(self) -> dict[str, int]:
        """Return how many images each person here has, sorted; listed people may have none."""
        found: dict[str, int] = {}
        for part in self.parts:
            with LedgerView.read(part.folder) as ledger:
                found |= dict.fromkeys(part.job.identities or (), 0) | ledger.images_of()
        return dict(sorted(found.items()))

    def counts(self) -> tuple[CrawlCounts, dict[str, CrawlCounts]]:
        """Return the counts of all partitions here, in total and by host."""
        with ExitStack() as stack:
            views = [stack.enter_context(LedgerView.read(part.folder)) for part in self.parts]
            total = CrawlCounts.total(view.counts() for view in views)
            return total, total_by_host(view.by_host() for view in views)


def read_crawled(out: Path) -> Crawled:
    """Look at the folder of a crawl.

    Raises:
        SourceError: when it holds no crawl.
        WorkspaceError: when it was made by an older version.
        IntegrityError: when a job file is damaged.
    """
    check_layout(out)
    here = partitions_in(out)
    if not here:
        raise SourceError(f"{out} holds no crawl; crawl first")
    totals = {partition.total for partition in here}
    if len(totals) > 1:
        raise WorkspaceError(
            f"crawl folder {out} has parts of several divisions: "
            f"{', '.join(partition.folder for partition in here[:8])}; "
            "keep those of one and move the others away"
        )
    parts = tuple(
        CrawledPart(folder=out / one.folder, job=read_job(out / one.folder / JOB_NAME))
        for one in here
    )
    missing = tuple(one for one in all_partitions(totals.pop()) if one not in here)
    return Crawled(parts=parts, missing=missing)


def check_layout(out: Path) -> None:
    """Refuse the folder of a crawl that an older version made.

    Raises:
        WorkspaceError: when there is one.
    """
    if (out / _OLD_LEDGER).exists():
        raise WorkspaceError(
            f"crawl folder {out} was made by an older version of Winnow ({_OLD_LEDGER}), which "
            "this one cannot go on with; move it away and crawl again"
        )


def check_partitions(out: Path, total: int) -> None:
    """Refuse to crawl in ``total`` parts where a crawl was begun in another number of parts.

    Raises:
        WorkspaceError: when it was.
    """
    for partition in partitions_in(out):
        if partition.total != total:
            raise WorkspaceError(
                f"crawl folder {out} was begun with partitions: {partition.total}, and the recipe "
                f"says {total}; who is in which part depends on it, so set it back, or move the "
                "folder away"
            )


def to_record(image: StoredImage, source: str) -> ImageRecord:
    """Return the row of the ingest stage for a stored image of the source so called."""
    outcome, rights = image.outcome, image.rights
    return ImageRecord(
        image_id=outcome.sha256 or "",
        source=source,
        source_uri=image.url,
        claimed_identity=image.identity,
        location=image.location,
        size_bytes=outcome.size_bytes or 0,
        url=image.url,
        page_url=image.page_url,
        fetched_at=outcome.fetched_at,
        http_status=outcome.http_status,
        content_type=outcome.content_type,
        licence=rights.licence,
        licence_url=rights.licence_url,
        author=rights.author,
        attribution=rights.attribution,
        etag=outcome.etag,
        last_modified=outcome.last_modified,
        robots=outcome.robots,
        spider=image.spider,
        spider_version=image.spider_version,
    )
