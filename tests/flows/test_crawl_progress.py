"""How a crawl's progress is told: lines where there is no terminal, bars where there is one."""

from __future__ import annotations

import os
import pty

import pytest

from crawlers.counts import CrawlCounts, CrawlProgress
from flows.crawl_progress import CrawlTold, describe, table_rows
from flows.progress import Reporter

FIRST = CrawlCounts(
    requested=40,
    stored=20,
    failed={"not_found": 2, "robots_forbidden": 3},
    size_bytes=5_000,
    pages=4,
    pages_pending=1,
)
SECOND = CrawlCounts(requested=1, failed={"timeout": 1})
RUNNING = CrawlProgress(
    counts=CrawlCounts.total([FIRST, SECOND]),
    hosts={"a.example": FIRST, "": SECOND},
    urls_per_s=2.0,
)


def test_one_line_says_it_all() -> None:
    assert describe(RUNNING) == (
        "20 of 41 images stored (5.0 KB), 4 pages read, 3 held back, 3 failed, 2.0 URLs/s, "
        "at least 8 s left"
    )


def test_an_outage_is_said() -> None:
    said = describe(CrawlProgress.total([RUNNING, CrawlProgress(counts=FIRST, out_s=80.0)]))
    assert said.endswith(", no network for 1 min 20 s: waiting")


def test_a_table_has_a_row_for_each_host() -> None:
    assert table_rows(RUNNING) == [
        {
            "host": "a.example",
            "pages": 4,
            "images": 20,
            "refusals": 3,
            "failures": 2,
            "waiting": 16,
            "bytes": "5.0 KB",
        },
        {
            "host": "no host",
            "pages": 0,
            "images": 0,
            "refusals": 0,
            "failures": 1,
            "waiting": 0,
            "bytes": "0 B",
        },
    ]


def test_lines_come_now_and_then_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter() as reporter:
        told = CrawlTold(reporter, "web")
        for _ in range(100):
            told.add(RUNNING)
        told.end(RUNNING.counts, dict(RUNNING.hosts))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"crawl web: {describe(RUNNING)}",
        "crawl web: 20 of 41 images stored (5.0 KB), 4 pages read, 3 held back, 3 failed",
        "  a.example: 4 pages, 20 images, 3 refusals, 2 failures, 16 waiting, 5.0 KB bytes",
        "  no host: 1 failures, 0 B bytes",
    ]


def test_on_a_terminal_every_host_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = pty.openpty()
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(writing, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        with Reporter() as reporter:
            assert reporter.has_bars
            CrawlTold(reporter, "web").add(RUNNING)
    drawn = os.read(reading, 1 << 16).decode()
    os.close(reading)
    assert "a.example" in drawn
    assert "30/46" in drawn
    assert "3 held back" in drawn
