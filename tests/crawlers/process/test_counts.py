"""Counts of several partitions together, and how they travel between processes."""

from __future__ import annotations

import pytest

from crawlers.counts import CrawlCounts, CrawlProgress, largest_first

ONE = CrawlCounts(requested=5, stored=2, failed={"timeout": 1}, pages=1, pages_pending=2, fetched=4)
TWO = CrawlCounts(requested=3, stored=1, failed={"timeout": 1, "empty": 1}, size_bytes=9)


def test_partitions_add_up() -> None:
    assert CrawlCounts.total([ONE, TWO]) == CrawlCounts(
        requested=8,
        stored=3,
        failed={"empty": 1, "timeout": 2},
        size_bytes=9,
        pages=1,
        pages_pending=2,
        fetched=4,
    )
    assert (ONE.pending, ONE.waiting, ONE.urls) == (2, 4, 8)


def test_hosts_add_up_by_name_the_largest_first() -> None:
    parts = [
        CrawlProgress(counts=ONE, hosts={"a": TWO, "b": ONE}, urls_per_s=2.0),
        CrawlProgress(counts=TWO, hosts={"b": TWO}, urls_per_s=1.0),
    ]
    total = CrawlProgress.total(parts)
    assert list(total.hosts.items()) == [("b", CrawlCounts.total([ONE, TWO])), ("a", TWO)]
    assert total.eta_s == pytest.approx(4 / 3)
    assert CrawlProgress(counts=ONE).eta_s is None
    assert list(largest_first({"x": TWO, "y": ONE}, 1)) == ["y"]


def test_a_report_travels_as_one_line() -> None:
    report = CrawlProgress(counts=ONE, hosts={"é:80": TWO}, urls_per_s=0.5, bytes_per_s=7.0)
    line = report.to_json()
    assert "\n" not in line
    assert CrawlProgress.from_json(line) == report
    with pytest.raises((ValueError, TypeError)):
        CrawlProgress.from_json('{"counts": {"unknown": 1}, "hosts": {}}')
