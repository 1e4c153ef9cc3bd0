"""A crawl of a site of faults, undisturbed and killed again and again: the same end.

``benchmarks/crawl_site.py`` serves the list on loopback: 10 % of the URLs are missing (404), 5 %
slow, 2 % cut off, 1 % no image, 1 % endless, 1 % redirect in circles, 2 % forbidden by robots.txt,
2 % opt out by a header, 2 % are at a host that is down, and hosts answer 429 with Retry-After now
and then. ``undisturbed`` is one run of ``crawlers.run.crawl``; ``killed`` is the same list in a
fresh folder, where the crawler's process and the one that started it get SIGKILL at random moments
and are started again. ``accounts differ`` counts rows (identity, URL, outcome, cause, sha256) that
are in one of the two ledgers only; of the host that is down it depends on the moment whether a URL
failed to connect or was not tried any more, which counts as the same. ``asked again`` counts URLs
that were asked for in more than one run, ``latest`` is how long before a kill the earlier answer to
one of them was sent: such URLs were being fetched or written when it came. Memory is that of the
crawler's process when a tenth, half and all of the list was answered, and the most at any time.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.crawl_site import Asked, Site, started_site
from benchmarks.crawl_urls import Kind, PlannedUrl, plan_urls
from benchmarks.process_tree import descendants, sampled_mb
from crawlers.causes import Cause
from crawlers.crawled import read_crawled
from crawlers.ledger.rows import ClaimState
from crawlers.ledger.view import LedgerView
from crawlers.run import CrawlJob, crawl
from facedata.errors import CrawlError
from facedata.sources import UrlsSource

HOSTS = 8
SEED = 20
MAX_IMAGE_BYTES = 256 << 10
_PATIENCE_S = 3600.0
_POLL_S = 0.01
_SETTLING_S = 0.2
_DOWN = frozenset({Cause.CONNECTION_FAILED.value, Cause.HOST_DOWN.value})
_SEVERAL_REQUESTS = frozenset({Kind.LOOP, Kind.TRUNCATED, Kind.MOVED})
"""Kinds that one fetch makes several requests for: of those the first answer ends nothing."""

EXPECTED: dict[Kind, Cause | None] = {
    Kind.IMAGE: None,
    Kind.SLOW: None,
    Kind.MOVED: None,
    Kind.MISSING: Cause.NOT_FOUND,
    Kind.TRUNCATED: Cause.TRUNCATED,
    Kind.TEXT: Cause.NOT_AN_IMAGE,
    Kind.ENDLESS: Cause.TOO_LARGE,
    Kind.LOOP: Cause.TOO_MANY_REDIRECTS,
    Kind.FORBIDDEN: Cause.ROBOTS_FORBIDDEN,
    Kind.NOAI: Cause.OPTED_OUT,
    Kind.RESERVED: Cause.TDM_RESERVED,
    Kind.DOWN: Cause.HOST_DOWN,
}
"""What the ledger must say of each kind."""

Account = tuple[str, str, str, str, str]
"""Identity, URL, state, cause and sha256 of a row of the list; causes of a host that is down are
``host_down``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A planned list at a running site, written as a file."""

    urls: Sequence[PlannedUrl]
    site: Site
    path: Path

    def url(self, planned: PlannedUrl) -> str:
        """The address of a row."""
        return self.site.origins[planned.host] + planned.path

    def write(self) -> None:
        """Write the list as CSV."""
        with self.path.open("w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(["identity", "url"])
            rows.writerows([one.identity, self.url(one)] for one in self.urls)

    def job(self, out: Path) -> CrawlJob:
        """The crawl of the list into a folder."""
        source = UrlsSource(
            path=str(self.path),
            contact="https://example.org/crawl",
            author="The benches",
            purpose="Measuring the crawler",
            delay_s=0.0,
            concurrency=16,
            timeout_s=20.0,
            max_image_bytes=MAX_IMAGE_BYTES,
            allow_private=tuple(origin.removeprefix("http://") for origin in self.site.origins),
        )
        return CrawlJob(source=source, out=out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """When a run was killed, and when the site had answered what was still on its way then."""

    at: float
    settled: float


@dataclass(slots=True)
class Watched:
    """What was seen of a crawl."""

    accounts: set[Account] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    seconds: float = 0.0


def run() -> list[dict[str, Any]]:
    """5,000 URLs, 5 kills."""
    return measure(5_000, kills=5)


def run_full() -> list[dict[str, Any]]:
    """50,000 URLs, 20 kills; takes some minutes."""
    return measure(50_000, kills=20)


def measure(count: int, kills: int) -> list[dict[str, Any]]:
    """Crawl a list of so many URLs undisturbed, and killed so many times."""
    with tempfile.TemporaryDirectory() as name, started_list(count, Path(name)) as listed:
        whole = crawl_whole(listed, Path(name) / "whole")
        killed = crawl_killed(listed, Path(name) / "killed", kills)
    return [_row("undisturbed", listed, whole, whole), _row("killed", listed, killed, whole)]


@contextmanager
def started_list(count: int, folder: Path) -> Iterator[Listed]:
    """A list of so many URLs, and the site that serves it."""
    with started_site(HOSTS) as site:
        urls = plan_urls(count, HOSTS, SEED)
        listed = Listed(urls=urls, site=site, path=folder / "urls.csv")
        listed.write()
        yield listed


def crawl_whole(listed: Listed, out: Path) -> Watched:
    """Crawl the list in one run, and look at the crawler's memory."""
    watched = Watched()
    listed.site.forget()
    started = time.monotonic()
    process = _start(listed, out)
    with sampled_mb(_crawler_of(process.pid), every_s=0.5) as memory:
        process.join(_PATIENCE_S)
    _check_complete(process)
    watched.seconds = time.monotonic() - started
    watched.memory_mb = [held for held in memory if held]
    return _seen(watched, listed, out)


def crawl_killed(listed: Listed, out: Path, kills: int) -> Watched:
    """Crawl the list; SIGKILL at random moments, drawn evenly over the URLs to be asked for."""
    watched = Watched()
    rng = random.Random(SEED)
    moments = sorted(rng.random() * 0.8 for _ in range(kills))
    listed.site.forget()
    started = time.monotonic()
    for moment in moments:
        process = _start(listed, out)
        while listed.site.count_urls() < moment * len(listed.urls) and process.is_alive():
            time.sleep(_POLL_S)
        time.sleep(rng.random() * 0.2)
        if not process.is_alive():
            raise CrawlError(f"the crawl was over before kill {len(watched.kills) + 1}; run again")
        _kill(process.pid)
        process.join()
        killed_at = time.monotonic()
        time.sleep(_SETTLING_S)
        watched.kills.append(Kill(at=killed_at, settled=time.monotonic()))
    process = _start(listed, out)
    process.join(_PATIENCE_S)
    _check_complete(process)
    watched.seconds = time.monotonic() - started
    return _seen(watched, listed, out)


def asked_again(listed: Listed, watched: Watched) -> list[float]:
    """How long before a kill the answer was sent to each URL that was asked for again after it.

    Seconds, smallest first; 0 for one whose answer was under way. Requests that the crawler itself
    repeats within one run do not count: redirects, bodies cut off, and 429.
    """
    often = {(one.host, one.path) for one in listed.urls if one.kind in _SEVERAL_REQUESTS}
    by_url: dict[tuple[int, str], list[Asked]] = defaultdict(list)
    for asked in watched.asked:
        if asked.status != 429 and (asked.host, asked.path) not in often:
            by_url[asked.host, asked.path].append(asked)
    gaps = []
    for rows in by_url.values():
        ordered = sorted(rows, key=lambda asked: asked.began)
        for earlier, later in pairwise(ordered):
            between = [kill for kill in watched.kills if earlier.began < kill.settled < later.began]
            gaps.append(max(0.0, between[0].at - earlier.ended) if between else float("inf"))
    return sorted(gaps)


def wrong_causes(listed: Listed, watched: Watched) -> Counter[str]:
    """The rows that do not say what they must, by kind and what they say; empty when all do."""
    kinds = {(one.identity, listed.url(one)): one.kind for one in listed.urls}
    wrong: Counter[str] = Counter()
    for identity, url, state, cause, _ in watched.accounts:
        kind = kinds[identity, url]
        expected = EXPECTED[kind]
        right = ("stored", "") if expected is None else ("failed", expected.value)
        if (state, cause) != right:
            wrong[f"{kind}: {state} {cause}"] += 1
    return wrong


def _crawl(job: CrawlJob) -> None:
    crawl(job)


def _start(listed: Listed, out: Path) -> multiprocessing.process.BaseProcess:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_crawl, args=(listed.job(out),))
    process.start()
    return process


def _crawler_of(pid: int | None) -> int:
    """Wait for the crawler's own process below the one that starts it."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        for one in descendants(pid or 0):
            with suppress(OSError):
                if b"crawlers.child" in Path(f"/proc/{one}/cmdline").read_bytes():
                    return one
        time.sleep(_POLL_S)
    raise CrawlError("the crawler did not start; look at its log")


def _kill(pid: int | None) -> None:
    """End a process and all below it, the lowest first: nobody can tidy up."""
    for one in reversed(descendants(pid or 0)):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def _check_complete(process: multiprocessing.process.BaseProcess) -> None:
    if process.exitcode != 0:
        _kill(process.pid)
        raise CrawlError(f"the crawl ended with {process.exitcode}; look at what it printed")


def _seen(watched: Watched, listed: Listed, out: Path) -> Watched:
    watched.asked = listed.site.asked()
    for part in read_crawled(out).parts:
        with LedgerView.read(part.folder) as ledger:
            for row in ledger.accounts():
                cause = row.cause.value if row.cause is not None else ""
                down = row.state is ClaimState.FAILED and cause in _DOWN
                said = Cause.HOST_DOWN.value if down else cause
                account = (row.identity, row.url, row.state.value, said, row.sha256 or "")
                watched.accounts.add(account)
    return watched


def _row(case: str, listed: Listed, watched: Watched, whole: Watched) -> dict[str, Any]:
    gaps = asked_again(listed, watched)
    memory = watched.memory_mb
    at = {"a tenth": 0.1, "half": 0.5, "the end": 0.999}
    return {
        "case": case,
        "URLs": len(listed.urls),
        "accounts": len(watched.accounts),
        "stored": sum(row[2] == "stored" for row in watched.accounts),
        "wrong causes": sum(wrong_causes(listed, watched).values()),
        "kills": len(watched.kills),
        "accounts differ": len(watched.accounts ^ whole.accounts),
        "asked again": len(gaps),
        "latest, s": max(gaps, default=None),
        "requests": len(watched.asked),
        "seconds": watched.seconds,
        **{
            f"MB at {name}": memory[int(share * len(memory))]
            for name, share in at.items()
            if memory
        },
        "most MB": max(memory, default=None),
        "load average": os.getloadavg()[0],
    }
