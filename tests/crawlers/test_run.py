"""Real crawls: spiders and images in child processes against local sites."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import crawlers
from crawlers.counts import CrawlProgress
from crawlers.run import CrawlJob, crawl, list_crawl
from demo.site import serve, write_crawl_files
from demo.site_faults import Faults
from facedata.errors import SourceError, WorkspaceError
from facedata.location import read_bytes
from facedata.records import ImageRecord

FAULTS = Faults(
    seed=3,
    not_found=3,
    truncated=2,
    not_an_image=3,
    robots_forbidden=4,
    redirect_off_site=2,
    slow=3,
    slow_s=0.3,
)
REPOSITORY = Path(crawlers.__file__).parents[1]


def test_a_faulty_site_is_crawled_whole_and_every_fault_has_its_cause(
    small_web: Path, tmp_path: Path, job_of
) -> None:
    with serve(small_web, FAULTS) as site:
        files = write_crawl_files(site, tmp_path / "files")
        job = job_of((files.identities, files.sites))
        reports: list[CrawlProgress] = []
        began = datetime.now(UTC) - timedelta(milliseconds=1)
        result = crawl(job, on_progress=reports.append)
        asked = list(site.requests)

        assert (
            result.counts.failed
            == site.plan.expected()
            == {
                "not_an_image": 3,
                "not_found": 3,
                "redirect_off_site": 2,
                "robots_forbidden": 4,
                "truncated": 2,
            }
        )
        assert (result.counts.stored, result.counts.requested) == (52, 66)
        assert result.counts.pending == 0
        assert result.counts.pages_failed == {}
        assert result.without_images == ()
        assert reports[-1].counts == result.counts
        assert reports[-1].hosts == result.hosts == {urlsplit(site.url).netloc: _own(result)}
        assert not [path for path in asked if "/private/" in path]
        # Only cut-off bodies are asked for again, as often as the site's ``retries`` says.
        twice = {path: n for path, n in Counter(asked).items() if n > 1}
        assert set(twice.values()) == {2}
        assert {site.plan.bad[path].value for path in twice} == {"truncated"}

        records = list(list_crawl(job.out, "web"))
        second = crawl(job)
        assert second.counts == replace(result.counts, fetched=0)
        assert site.requests == asked
        assert list(list_crawl(job.out, "web")) == records

    photos = small_web / "site" / "photos"
    assert [(r.claimed_identity, r.source_uri) for r in records] == sorted(
        (site.names[path.parent.name], f"{site.url}/photos/{path.parent.name}/{path.name}")
        for path in photos.glob("*/*.jpg")
    )
    for record in records:
        original = photos / urlsplit(record.source_uri).path.removeprefix("/photos/")
        assert read_bytes(record.location) == original.read_bytes()
        assert record.size_bytes == original.stat().st_size
        assert record.image_id == hashlib.sha256(original.read_bytes()).hexdigest()
        assert (record.http_status, record.content_type) == (200, "image/jpeg")
        assert (record.robots, record.spider, record.licence) == ("allowed", "gallery", None)
        assert record.spider_version is not None
        assert record.page_url is not None
        told = datetime.fromisoformat(record.fetched_at or "")
        assert began <= told <= datetime.now(UTC)


def _own(result):
    """The counts of a crawl's only host: what is of a run is not counted by host."""
    return replace(result.counts, fetched=0)


def test_pages_of_several_sites_and_people_come_together(
    odd_site, second_odd_site, listing, respond, image_bytes, crawl_files, job_of
) -> None:
    odd_site.routes |= {
        "/people/ada": listing(["/1", "/both", "/1#again"], following="/people/ada?2"),
        "/people/ada?2": listing(["/2"], following="/people/ada?3"),
        "/people/ada?3": listing(["/3"], following="/people/ada"),
        "/people/bo%20%22x%22": listing(["../both"]),
        "/1": respond(image_bytes(1)),
        "/2": respond(image_bytes(2)),
        "/3": respond(image_bytes(3)),
        "/both": respond(image_bytes(4)),
    }
    second_odd_site.routes |= {
        "/robots.txt": respond(b"User-agent: Winnow\nDisallow: /\n", Content_Type="text/plain"),
        "/people/ada": listing(["/1"]),
    }
    people = 'identity,slug\nAda,ada\n"Bo ""x""","bo ""x"""\nNobody,nobody\n'
    job = job_of(crawl_files([odd_site, second_odd_site], people, max_pages=2))
    result = crawl(job)
    assert result.counts.stored == 4
    assert result.counts.pages == 3
    assert result.counts.pages_failed == {"not_found": 1, "page_limit": 1, "robots_forbidden": 3}
    assert result.without_images == ("Nobody",)
    assert set(second_odd_site.requests) == {"/robots.txt"}
    assert Counter(odd_site.requests)["/both"] == 1
    assert [(r.claimed_identity, urlsplit(r.source_uri).path) for r in _records(job)] == [
        ("Ada", "/1"),
        ("Ada", "/2"),
        ("Ada", "/both"),
        ('Bo "x"', "/both"),
    ]

    # People who are no longer listed are no longer part of the crawl.
    crawl_files([odd_site, second_odd_site], "identity,slug\nAda,ada\n", max_pages=2)
    odd_site.requests.clear()
    assert crawl(job).counts.stored == 3
    assert {r.claimed_identity for r in _records(job)} == {"Ada"}

    # A wider page limit goes on where the narrow one stopped.
    crawl_files([odd_site], "identity,slug\nAda,ada\n", max_pages=5)
    assert crawl(job).counts.stored == 4
    assert [path for path in odd_site.requests if path not in OWN_FILES] == ["/people/ada?3", "/3"]

    # What failed for a passing reason is asked for again when told to.
    odd_site.routes["/people/nobody"] = listing(["/1"])
    files = crawl_files([odd_site], "identity,slug\nNobody,nobody\n")
    assert crawl(job).counts.stored == 0
    assert crawl(job_of(files, retry_failed=True)).counts.stored == 1


OWN_FILES = {"/robots.txt", "/.well-known/tdmrep.json"}
"""What a crawler asks of every site."""


def _records(job: CrawlJob) -> list[ImageRecord]:
    return list(list_crawl(job.out, "w"))


def test_requests_that_are_wrong_are_one_clear_error(tmp_path: Path, job_of) -> None:
    with pytest.raises(SourceError, match=r"identity list .*p.csv cannot be read"):
        crawl(job_of((tmp_path / "p.csv", tmp_path / "s.yaml")))
    with pytest.raises(SourceError, match="holds no crawl"):
        list_crawl(tmp_path / "o", "w")
    with pytest.raises(SourceError, match=r"URL list .*u.csv cannot be read"):
        crawl(job_of(tmp_path / "u.csv"))
    (tmp_path / "u.csv").write_text("identity\nAda\n")
    with pytest.raises(SourceError, match=r"URL list .*u.csv has no column 'url'"):
        crawl(job_of(tmp_path / "u.csv"))


def test_a_list_must_say_who_made_it_and_what_for(crawl_files, odd_site, job_of) -> None:
    files = crawl_files([odd_site])
    with pytest.raises(SourceError, match="names no purpose"):
        crawl(job_of(files, purpose=None))
    listed = files[0].with_name("urls.csv")
    listed.write_text(f"identity,url\nAda,{odd_site.url}/1\n")
    with pytest.raises(SourceError, match=r"names no author; write author beside path"):
        crawl(job_of(listed, author=None))
    assert odd_site.requests == []


def test_an_output_folder_that_is_a_file_is_one_clear_error(crawl_files, odd_site, job_of) -> None:
    files = crawl_files([odd_site])
    with pytest.raises(WorkspaceError, match=r"crawl folder .*people.csv.* cannot be written"):
        crawl(job_of(files, out="people.csv"))


def test_a_crawl_of_an_older_version_is_not_gone_on_with(
    crawl_files, odd_site, job_of, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "ledger.jsonl").write_text("")
    job = job_of(crawl_files([odd_site]))
    for go_on in (lambda: crawl(job), lambda: list_crawl(job.out, "w")):
        with pytest.raises(WorkspaceError, match="made by an older version of Winnow"):
            go_on()


def test_neither_process_loads_what_it_does_not_need() -> None:
    code = "import sys, {}; print([m for m in {!r} if m in sys.modules])"
    heavy = ("torch", "insightface", "onnxruntime", "cv2", "numpy", "pyarrow", "prefect", "scipy")
    vendor = ("scrapy", "twisted", "torch", "insightface", "onnxruntime", "cv2", "prefect")
    for module, unwanted in (("crawlers.child", heavy), ("crawlers.run", vendor)):
        ran = subprocess.run(
            [sys.executable, "-c", code.format(module, unwanted)],
            capture_output=True,
            text=True,
            check=True,
            cwd=REPOSITORY,
        )
        assert ran.stdout.strip() == "[]", module
