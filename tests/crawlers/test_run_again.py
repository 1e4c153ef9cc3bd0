"""Real crawls that are run again later, or in parts: what changed is found, nothing comes twice."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from crawlers.process.partitions import Partition
from crawlers.run import CrawlJob, crawl, list_crawl
from demo.site import serve, write_crawl_files
from demo.site_faults import Faults
from facedata.errors import CrawlError, RequestError, SourceError, WorkspaceError
from facedata.location import read_bytes

OWN_FILES = {"/robots.txt", "/.well-known/tdmrep.json"}


def content(job: CrawlJob) -> list[tuple[str, str, str]]:
    return [(r.claimed_identity, r.source_uri, r.image_id) for r in list_crawl(job.out, "w")]


def test_a_refresh_fetches_only_what_changed(
    odd_site, respond, listing, image_bytes, crawl_files, job_of
) -> None:
    bodies = {f"/{n}": image_bytes(n) for n in range(4)}
    answers: Counter[tuple[str, int]] = Counter()

    def versioned(path: str):
        def answer(handler: BaseHTTPRequestHandler) -> None:
            body = bodies[path]
            etag = f'"{hashlib.sha256(body).hexdigest()[:8]}"'
            status = 304 if handler.headers.get("If-None-Match") == etag else 200
            answers[path, status] += 1
            respond(b"" if status == 304 else body, status, ETag=etag)(handler)

        return answer

    odd_site.routes |= {path: versioned(path) for path in bodies}
    odd_site.routes["/people/ada"] = listing(["/0", "/1", "/2"])
    files = crawl_files([odd_site])
    job = job_of(files)
    crawl(job)
    before = content(job)
    assert answers == {("/0", 200): 1, ("/1", 200): 1, ("/2", 200): 1}

    # Nothing is old enough.
    odd_site.requests.clear()
    assert crawl(job_of(files, refresh_days=1.0)).counts.fetched == 0
    assert odd_site.requests == []

    # One picture changed, one is new, one is gone.
    bodies["/1"] = image_bytes(11)
    odd_site.routes["/people/ada"] = listing(["/0", "/1", "/2", "/3"])
    odd_site.routes["/2"] = respond(status=404)
    answers.clear()
    now = job_of(files, refresh_days=1e-9)
    result = crawl(now)
    assert answers == {("/0", 304): 1, ("/1", 200): 1, ("/3", 200): 1}
    assert result.counts.failed == {"not_found": 1}
    after = {url.rpartition("/")[2]: image for _, url, image in content(now)}
    old = {url.rpartition("/")[2]: image for _, url, image in before}
    assert after["0"] == old["0"]
    assert after["1"] == hashlib.sha256(bodies["/1"]).hexdigest() != old["1"]
    assert sorted(after) == ["0", "1", "3"]
    for record in list_crawl(now.out, "w"):
        assert hashlib.sha256(read_bytes(record.location)).hexdigest() == record.image_id
        assert record.etag is not None


def test_parts_crawled_apart_are_one_crawl(small_web: Path, tmp_path: Path, job_of) -> None:
    with serve(small_web, Faults(not_found=3, robots_forbidden=2)) as site:
        written = write_crawl_files(site, tmp_path / "files")
        files = (written.identities, written.sites)
        whole = job_of(files)
        total = crawl(whole).counts
        site.requests.clear()

        # Each on a machine of its own, and then brought together.
        apart = [
            job_of(files, out=f"machine-{n}", partitions=3, only=Partition(number=n, total=3))
            for n in (1, 2, 3)
        ]
        parts = [crawl(one) for one in apart]
        twice = {path for path, n in Counter(site.requests).items() if n > 1}
        assert twice == OWN_FILES
        assert all(part.counts.stored >= 13 for part in parts)
        assert sum(part.counts.stored for part in parts) == total.stored
        first, *others = apart
        (others[0].out / "2-of-3").rename(first.out / "2-of-3")
        warnings: list[str] = []
        list(list_crawl(first.out, "web", warnings.append))
        assert warnings == [
            "source web: 1 of 3 partitions are not in this workspace (3-of-3); copy their folders "
            f"into {first.out} when they are crawled"
        ]
        (others[1].out / "3-of-3").rename(first.out / "3-of-3")
        assert content(first) == content(whole)

        # All by one machine: there is nothing left to ask for.
        together = crawl(job_of(files, out="machine-1", partitions=3))
        assert together.counts == replace(total, fetched=0)
        assert together.without_images == ()

        with pytest.raises(
            WorkspaceError, match=r"begun with partitions: 3, and the recipe says 2"
        ):
            crawl(job_of(files, out="machine-1", partitions=2))
        with pytest.raises(RequestError, match=r"partition 1/2 was asked for.* partitions: 1"):
            job_of(files, only=Partition(number=1, total=2))


def test_a_part_that_fails_does_not_stop_the_others(
    small_web: Path, tmp_path: Path, job_of
) -> None:
    with serve(small_web) as site:
        written = write_crawl_files(site, tmp_path / "files")
        job = job_of((written.identities, written.sites), partitions=3)
        (job.out / "1-of-3").mkdir(parents=True)
        (job.out / "1-of-3" / "ledger.sqlite").write_text("garbage\n" * 1_000)
        with pytest.raises(CrawlError, match=r"1-of-3.*damaged"):
            crawl(job)
        (job.out / "1-of-3" / "ledger.sqlite").unlink()
        site.requests.clear()
        assert crawl(job).counts.stored == 52
        asked = {path.partition("?")[0] for path in site.requests} - OWN_FILES
        assert {path.split("/")[2] for path in asked} == {"long"}


def test_a_folder_without_its_job_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "1-of-1").mkdir()
    with pytest.raises(SourceError, match=r"1-of-1 holds no crawl"):
        list_crawl(tmp_path, "w")
