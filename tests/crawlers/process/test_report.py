"""The crawl report: everything is said, nothing from the data is taken as a page's own words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crawlers.causes import Cause
from crawlers.counts import CrawlCounts
from crawlers.job_file import ListFacts
from crawlers.process.report import CrawlReport, in_bytes, in_time, render_report, write_report
from crawlers.process.wording import CAUSES, in_words, is_refusal
from facedata.palette import palette_css

PEOPLE = ListFacts(path="people.csv", sha256="ab" * 32, people=3, author="Jo", purpose="Tests")
COUNTS = CrawlCounts(
    requested=12,
    stored=9,
    failed={"not_found": 2, "robots_forbidden": 1},
    size_bytes=12_345,
    pages=3,
    pages_failed={"timeout": 1},
    fetched=15,
)


def make(**keys) -> CrawlReport:
    facts = {
        "source": "web",
        "written_at": "2026-01-02T03:04:05+00:00",
        "people": PEOPLE,
        "counts": COUNTS,
        "hosts": {"example.org": COUNTS},
        "images_of": {"Ada": 9, "Bo": 0, "Cy": 0},
        "seconds": 61.0,
    }
    return CrawlReport(**facts | keys)


def test_both_files_say_the_same(tmp_path: Path) -> None:
    page = write_report(make(partitions=4, missing_partitions=("3-of-4",)), tmp_path)
    facts = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert facts["counts"]["stored"] == facts["hosts"]["example.org"]["stored"] == 9
    assert facts["people"]["purpose"] == "Tests"
    assert facts["without_images"] == ["Bo", "Cy"]
    text = page.read_text("utf-8")
    for said in ("3-of-4", "1 min 1 s", "12.3 KB", "Jo", "Tests", "ab" * 32, "Not found, or gone"):
        assert said in text
    assert "2 without a single image" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_names_from_outside_are_only_names() -> None:
    evil = "<script>alert(1)</script>\udcff"
    page = render_report(
        make(source=evil, hosts={evil: COUNTS}, images_of={evil: 1}, user_agent=evil)
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 4


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = render_report(make())
    assert "default-src 'none'" in page
    assert not [word for word in ("src=", "href=", "url(", "@import") if word in page]


def test_a_crawl_of_many_gives_a_page_of_bounded_size() -> None:
    hosts = {f"host-{number}.example": COUNTS for number in range(5_000)}
    page = render_report(make(hosts=hosts, images_of={f"P{n}": n for n in range(50_000)}))
    assert len(page) < 1_500_000
    assert "5,000 hosts, the 500 with the most URLs shown" in page
    assert "the 2,000 with the fewest images shown" in page


def test_every_cause_has_words_and_odd_ones_are_shown_as_they_are() -> None:
    assert set(CAUSES) == set(Cause)
    assert in_words("of_another_version") == "of another version"
    assert is_refusal("robots_forbidden")
    assert not is_refusal("timeout")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3_700, "1 h 1 min"), (200_000, "2 d 7 h")],
)
def test_durations_have_two_units(seconds: float, said: str) -> None:
    assert in_time(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(999, "999 B"), (1_500, "1.5 KB"), (2 * 10**12, "2.0 TB")]
)
def test_sizes_are_short(count: int, said: str) -> None:
    assert in_bytes(count) == said


def test_the_palette_is_that_of_the_other_pages() -> None:
    assert palette_css() in render_report(make())
