"""The crawler's own process: ``python -m crawlers.child JOBFILE``, started by ``crawlers.run``.

One JSON line of counts goes to standard output now and then and at the end; warnings and, last,
the reason of a failure go to standard error. The process ends when its standard input is closed,
so that it never outlives the run that started it. Exit code 0 means that the crawl is complete.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib.metadata
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from scrapy import signals
from scrapy.crawler import AsyncCrawlerProcess, Crawler

from crawlers.frontier import Frontier
from crawlers.gallery import SPIDER_NAME, GallerySpider, SpiderTask
from crawlers.job_file import LEDGER_NAME, JobFile, read_job
from crawlers.raw_store import RawStore
from crawlers.resolver import SITES_SETTING
from crawlers.sites import Site, Sites
from crawlers.url_ledger import LedgerWriter, read_rows
from facedata.errors import CrawlError, WinnowError

_PROGRESS_EVERY_S = 0.5
_LOCK_WAIT_S = 10.0


class CrawlProcess:
    """One run of a crawl job: all its sites, each with the politeness that it asks for."""

    def __init__(self, job: JobFile, out: Path, ledger: LedgerWriter) -> None:
        self._job = job
        self._store = RawStore(out)
        self._store.clear_partial()
        self._frontier = Frontier(job.sites.sites, ledger, self._store, SPIDER_NAME)
        self._frontier.recall(read_rows(out / LEDGER_NAME), retry_failed=job.retry_failed)
        self._process = AsyncCrawlerProcess(_process_settings(job.sites))
        self._problem: str | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._reported_at = 0.0

    def run(self) -> None:
        """Crawl until everything is settled.

        Raises:
            CrawlError: when it stopped before that.
        """
        for site in self._job.sites.sites:
            crawler = Crawler(GallerySpider, _site_settings(site, self._job.sites))
            crawler.signals.connect(self._on_defect, signal=signals.spider_error)
            self._process.crawl(crawler, task=self._task(site))
        self._process.start()
        print_line(self._frontier.counts().to_json())
        if self._problem is not None:
            raise CrawlError(self._problem)
        if not self._frontier.is_settled():
            raise CrawlError("crawl stopped before it was complete; run it again to go on")

    def _task(self, site: Site) -> SpiderTask:
        return SpiderTask(
            site=site,
            starts=tuple(start for start in self._job.starts if start.site == site.name),
            frontier=self._frontier,
            store=self._store,
            on_progress=self._on_progress,
            on_storage_error=self._on_storage_error,
        )

    def _on_progress(self) -> None:
        if time.monotonic() - self._reported_at >= _PROGRESS_EVERY_S:
            print_line(self._frontier.counts().to_json())
            self._reported_at = time.monotonic()

    def _on_storage_error(self, error: OSError) -> None:
        self._stop(f"crawl output cannot be written ({error.strerror}); make room and run again")

    def _on_defect(self, failure: Any, response: Any) -> None:
        error = failure.value
        self._stop(
            f"crawler defect at {response.url}: {type(error).__name__}: {error}; please report it"
        )

    def _stop(self, problem: str) -> None:
        if self._problem is None:
            self._problem = problem
            self._stopping = asyncio.get_running_loop().create_task(self._process.stop())


def print_line(line: str) -> None:
    """Write one line to standard output at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run the job named in ``arguments`` and return the exit code."""
    path = Path(arguments[0])
    _run_in_thread(_exit_with_parent)
    try:
        job = read_job(path)
        with (path.parent / "lock").open("wb") as lock:
            _wait_for_lock(lock, path.parent)
            ledger = LedgerWriter(path.parent / LEDGER_NAME)
            CrawlProcess(job, path.parent, ledger).run()
            ledger.close()
    except WinnowError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"crawl output {path.parent} cannot be used: {error}\n")
        return 1
    return 0


def _process_settings(sites: Sites) -> dict[str, Any]:
    version = importlib.metadata.version("winnow-faces")
    return {
        SITES_SETTING: sites,
        "TWISTED_DNS_RESOLVER": "crawlers.resolver.PublicResolver",
        "USER_AGENT": f"{sites.user_agent}/{version} (+{sites.contact})",
        "ROBOTSTXT_USER_AGENT": sites.user_agent,
        "ROBOTSTXT_OBEY": True,
        "DOWNLOADER_MIDDLEWARES": {
            "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
            "crawlers.robots.RobotsGate": 100,
            # The frontier checks hosts, and records what it refuses.
            "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,
        },
        "DUPEFILTER_CLASS": "scrapy.dupefilters.BaseDupeFilter",
        # A proxy would resolve names itself, past the address check.
        "HTTPPROXY_ENABLED": False,
        "DOWNLOAD_HANDLERS": dict.fromkeys(("data", "file", "ftp", "s3")),
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "AUTOTHROTTLE_ENABLED": True,
        "COOKIES_ENABLED": False,
        "METAREFRESH_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "URLLENGTH_LIMIT": 0,
        "LOG_LEVEL": "WARNING",
        # Both are recorded in the ledger with their cause.
        "RETRY_GIVE_UP_LOG_LEVEL": "DEBUG",
        "DOWNLOAD_WARNSIZE": 0,
    }


def _site_settings(site: Site, sites: Sites) -> dict[str, Any]:
    return _process_settings(sites) | {
        "DOWNLOAD_DELAY": site.delay_s,
        "AUTOTHROTTLE_START_DELAY": site.delay_s,
        "AUTOTHROTTLE_TARGET_CONCURRENCY": float(site.concurrency),
        "CONCURRENT_REQUESTS_PER_DOMAIN": site.concurrency,
        "DOWNLOAD_TIMEOUT": site.timeout_s,
        "RETRY_TIMES": site.retries,
    }


def _wait_for_lock(lock: BinaryIO, out: Path) -> None:
    """Lock the output folder for this process; an earlier run may be about to end."""
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise CrawlError(
                    f"another crawl is writing to {out}; wait for it or choose another folder"
                ) from error
            time.sleep(0.1)
        else:
            return


def _run_in_thread(function: Callable[[], None]) -> None:
    threading.Thread(target=function, daemon=True).start()


def _exit_with_parent() -> None:
    """End the process once standard input is closed; the ledger is safe at any moment."""
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
