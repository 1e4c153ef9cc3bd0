"""Crawling from the outside: run a job in a child process, and list what it brought in.

Scrapy cannot crawl twice in one process, so each crawl is a process of its own. It resumes from
its ledger: what an earlier run fetched is not fetched again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import crawlers
from crawlers.counts import CrawlCounts
from crawlers.job_file import JOB_NAME, LEDGER_NAME, LOG_NAME, JobFile, plan_job, read_job
from crawlers.people import load_people
from crawlers.raw_store import RawStore
from crawlers.sites import load_sites
from crawlers.url_ledger import ImageRow, read_rows
from facedata.errors import CrawlError, IntegrityError, WorkspaceError
from facedata.records import ImageRecord

_STOP_WAIT_S = 10.0
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "SYSTEMROOT")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlJob:
    """Whom to crawl, where, and the local folder for bytes and ledger.

    With ``retry_failed`` everything that failed in an earlier run is asked for again; without it
    a complete crawl that is run again asks for nothing.
    """

    identities: Path
    sites: Path
    out: Path
    retry_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlResult:
    """What a complete crawl brought; ``without_images`` are listed people with none stored."""

    counts: CrawlCounts
    without_images: tuple[str, ...]
    ledger: Path
    log: Path


def crawl(
    job: CrawlJob, *, on_progress: Callable[[CrawlCounts], None] | None = None
) -> CrawlResult:
    """Crawl in a child process until every page and image is stored or failed with a cause.

    ``on_progress`` is called with each report of the child. When this function is left early,
    by an interrupt or an error of ``on_progress``, the child is stopped too.

    Raises:
        SourceError: when the identity list or the sites file is not usable.
        WorkspaceError: when ``job.out`` cannot be written to.
        CrawlError: when the child failed; the message is the last line of its log.
    """
    people, sites = load_people(job.identities), load_sites(job.sites)
    planned = plan_job(people, sites, job.identities, retry_failed=job.retry_failed)
    job_path = _written(planned, job.out)
    counts = _run_child(job_path, on_progress)
    with_images = {row.identity for row in _stored_rows(job.out, planned)}
    return CrawlResult(
        counts=counts,
        without_images=tuple(name for name in planned.identities if name not in with_images),
        ledger=job.out / LEDGER_NAME,
        log=job.out / LOG_NAME,
    )


def list_crawl(out: Path, source: str) -> Iterator[ImageRecord]:
    """Yield one record per identity and URL stored below ``out``, sorted by both.

    Only people and sites of the latest job count, whatever the ledger holds of earlier ones. The
    same bytes under two URLs are two records.

    Raises:
        SourceError: when ``out`` holds no crawl.
        IntegrityError: when the ledger is damaged or a stored file is gone.
    """
    store = RawStore(out)
    for row in _stored_rows(out, read_job(out / JOB_NAME)):
        sha256, size_bytes = row.sha256 or "", row.size_bytes or 0
        if not store.has(sha256, size_bytes):
            raise IntegrityError(
                f"{store.path_of(sha256)} ({row.url}) is missing or cut off; "
                "run the crawl again to fetch it"
            )
        yield ImageRecord(
            image_id=sha256,
            source=source,
            source_uri=row.url,
            claimed_identity=row.identity,
            location=str(store.path_of(sha256)),
            size_bytes=size_bytes,
            url=row.url,
            page_url=row.page_url,
            fetched_at=row.fetched_at,
            http_status=row.http_status,
            content_type=row.content_type,
        )


def _stored_rows(out: Path, job: JobFile) -> list[ImageRow]:
    """Return the stored images of the job's people, sorted by identity and URL."""
    identities = set(job.identities)
    sites = {site.name for site in job.sites.sites}
    latest = {
        (row.identity, row.url): row
        for row in read_rows(out / LEDGER_NAME)
        if isinstance(row, ImageRow) and row.identity in identities and row.site in sites
    }
    return [row for _, row in sorted(latest.items()) if row.cause is None]


def _written(job: JobFile, out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        return job.write(out)
    except OSError as error:
        raise WorkspaceError(
            f"crawl folder {out} cannot be written ({error.strerror}); "
            "choose a folder that you may write to, with room on its disk"
        ) from error


def _run_child(job_path: Path, on_progress: Callable[[CrawlCounts], None] | None) -> CrawlCounts:
    """Run the child to its end and return its last counts."""
    log_path = job_path.parent / LOG_NAME
    with log_path.open("wb") as log:
        command = [sys.executable, "-P", "-m", "crawlers.child", str(job_path.resolve())]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_environment(),
            start_new_session=True,
            text=True,
        ) as child:
            try:
                counts = _follow(child.stdout, on_progress)
                exit_code = child.wait()
            finally:
                _stop(child)
    if exit_code != 0:
        raise CrawlError(_last_line(log_path) or f"the crawler ended with exit code {exit_code}")
    if counts is None or counts.pending:
        raise CrawlError(f"the crawler lost count of its images ({counts}); please report it")
    return counts


def _follow(
    stream: IO[str] | None, on_progress: Callable[[CrawlCounts], None] | None
) -> CrawlCounts | None:
    """Read the child's reports until it closes its output; return the last one."""
    counts = None
    for line in stream or ():
        try:
            counts = CrawlCounts.from_json(line)
        except (ValueError, TypeError) as error:
            raise CrawlError(f"the crawler said {line[:80]!r} instead of its counts") from error
        if on_progress is not None:
            on_progress(counts)
    return counts


def _stop(child: subprocess.Popen[str]) -> None:
    """End a child that still runs: let it finish what is under way, then insist."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(_STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _environment() -> dict[str, str]:
    """Return the child's environment: no credentials, no proxies, no Scrapy or Python settings."""
    passed = {name: os.environ[name] for name in _PASSED_ON + _CERTIFICATES if name in os.environ}
    home_of_the_code = Path(crawlers.__file__).resolve().parents[1]
    return passed | {"PYTHONPATH": str(home_of_the_code), "PYTHONUNBUFFERED": "1"}


def _last_line(log_path: Path) -> str:
    lines = log_path.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""
