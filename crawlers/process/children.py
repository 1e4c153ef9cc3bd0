"""The crawler's child processes, as their parent sees them: one per partition, a few at a time.

Scrapy and the fetcher stay out of the caller's process, and a crawl that goes wrong takes no
build with it. A child never outlives its parent: it ends when its standard input closes.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import crawlers
from crawlers.counts import CrawlProgress
from facedata.errors import CrawlError, RequestError, SourceError, WinnowError

LOG_NAME = "crawl.log"
_STOP_WAIT_S = 15.0
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "SYSTEMROOT")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the child of one job said."""

    job: Path
    progress: CrawlProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class _Child:
    process: subprocess.Popen[str]
    listener: threading.Thread


class Children:
    """Runs ``python -m crawlers.child JOB`` for every job, at most ``at_once`` at the same time.

    Of this process's environment a child gets what Python needs, and the variables in ``secrets``.
    Leaving the context ends those that still run: they finish what is under way, or are killed.
    """

    def __init__(self, jobs: Sequence[Path], at_once: int, secrets: Iterable[str] = ()) -> None:
        self._waiting = deque(jobs)
        self._environment = _environment(secrets)
        self._at_once = at_once
        self._running: dict[Path, _Child] = {}
        self._said: queue.SimpleQueue[tuple[Path, str | None]] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._running.values():
            child.process.terminate()
        for job, child in list(self._running.items()):
            try:
                child.process.wait(_STOP_WAIT_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
            self._close(job)

    def reports(self) -> Iterator[Report]:
        """Yield what the children say, until the last has ended.

        One that fails does not stop the others: they are other people's images.

        Raises:
            WinnowError: at the end, when a child failed; the message is the last line of its log.
        """
        failures: list[WinnowError] = []
        while self._waiting or self._running:
            while self._waiting and len(self._running) < self._at_once:
                self._start(self._waiting.popleft())
            job, line = self._said.get()
            if line is not None:
                yield Report(job=job, progress=_parsed(line))
            elif (problem := self._ended(job)) is not None:
                failures.append(problem)
        if failures:
            raise failures[0]

    def _start(self, job: Path) -> None:
        with (job.parent / LOG_NAME).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "crawlers.child", str(job.resolve())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                text=True,
            )
        listener = threading.Thread(target=self._listen, args=(job, process), daemon=True)
        self._running[job] = _Child(process=process, listener=listener)
        listener.start()

    def _listen(self, job: Path, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._said.put((job, line))
        self._said.put((job, None))

    def _ended(self, job: Path) -> WinnowError | None:
        """Wait for a child that closed its output; return what went wrong, if anything."""
        exit_code = self._running[job].process.wait()
        self._close(job)
        if exit_code == 0:
            return None
        said = _last_line(job.parent / LOG_NAME)
        if exit_code == RequestError.exit_code and said:
            return SourceError(said)
        return CrawlError(said or f"the crawler ended with exit code {exit_code}")

    def _close(self, job: Path) -> None:
        child = self._running.pop(job)
        child.process.wait()
        child.listener.join()
        for stream in (child.process.stdin, child.process.stdout):
            if stream is not None:
                stream.close()


def _parsed(line: str) -> CrawlProgress:
    try:
        return CrawlProgress.from_json(line)
    except (ValueError, TypeError) as error:
        raise CrawlError(f"the crawler said {line[:80]!r} instead of its counts") from error


def _environment(secrets: Iterable[str]) -> dict[str, str]:
    """Return the child's environment: no proxies, no Scrapy or Python settings, no other keys."""
    names = (*_PASSED_ON, *_CERTIFICATES, *secrets)
    passed = {name: os.environ[name] for name in names if name in os.environ}
    home_of_the_code = Path(crawlers.__file__).resolve().parents[1]
    return passed | {"PYTHONPATH": str(home_of_the_code), "PYTHONUNBUFFERED": "1"}


def _last_line(log_path: Path) -> str:
    lines = log_path.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""
