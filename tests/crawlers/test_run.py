"""Real crawls: Scrapy in its child process against local sites."""

from __future__ import annotations

import gzip
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

import crawlers
from crawlers.counts import CrawlCounts
from crawlers.job_file import LEDGER_NAME, plan_job
from crawlers.people import load_people
from crawlers.run import CrawlJob, crawl, list_crawl
from crawlers.sites import load_sites
from crawlers.url_ledger import ImageRow, read_rows
from demo.site import serve, write_crawl_files
from demo.site_faults import Faults
from facedata.errors import CrawlError, IntegrityError, SourceError, WorkspaceError
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


def fates(out: Path, base: str) -> set[tuple[str, str, str | None, str | None]]:
    """Return identity, URL below ``base``, cause and digest of every image in a ledger."""
    rows = [row for row in read_rows(out / LEDGER_NAME) if isinstance(row, ImageRow)]
    found = [(row.identity, row.url.removeprefix(base), row.cause, row.sha256) for row in rows]
    assert len(found) == len(set(found))
    return set(found)


def test_a_faulty_site_is_crawled_whole_and_every_fault_has_its_cause(
    small_web: Path, tmp_path: Path
) -> None:
    with serve(small_web, FAULTS) as site:
        files = write_crawl_files(site, tmp_path / "files")
        job = CrawlJob(identities=files.identities, sites=files.sites, out=tmp_path / "out")
        reports: list[CrawlCounts] = []
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
        assert reports[-1] == result.counts
        assert not [path for path in asked if "/private/" in path]
        # Only cut-off bodies are asked for again, as often as the site's ``retries`` says.
        twice = {path: n for path, n in Counter(asked).items() if n > 1}
        assert set(twice.values()) == {2}
        assert {site.plan.bad[path].value for path in twice} == {"truncated"}

        records = list(list_crawl(tmp_path / "out", "web"))
        ledger = result.ledger.read_bytes()
        second = crawl(job)
        assert second.counts.fetched == 0
        assert second.counts == CrawlCounts.from_json(
            re.sub(r'"fetched": \d+', '"fetched": 0', result.counts.to_json())
        )
        assert site.requests == asked
        assert result.ledger.read_bytes() == ledger
        assert list(list_crawl(tmp_path / "out", "web")) == records

    photos = small_web / "site" / "photos"
    assert [(r.claimed_identity, r.source_uri) for r in records] == sorted(
        (site.names[path.parent.name], f"{site.url}/photos/{path.parent.name}/{path.name}")
        for path in photos.glob("*/*.jpg")
    )
    for record in records:
        original = photos / urlsplit(record.source_uri).path.removeprefix("/photos/")
        assert Path(record.location).read_bytes() == original.read_bytes()
        assert record.size_bytes == original.stat().st_size
        assert Path(record.location).name == record.image_id
        assert (record.http_status, record.content_type) == (200, "image/jpeg")
        assert record.page_url is not None
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", record.fetched_at or "")


def test_killed_crawls_lose_nothing_and_fetch_nothing_again(
    small_web: Path, tmp_path: Path
) -> None:
    with serve(small_web, FAULTS) as site:
        files = write_crawl_files(site, tmp_path / "files")
        calm, killed = tmp_path / "calm", tmp_path / "killed"
        crawl(CrawlJob(identities=files.identities, sites=files.sites, out=calm))
        asked_calmly = set(site.requests)

        killed.mkdir()
        people, sites = load_people(files.identities), load_sites(files.sites)
        job_path = plan_job(people, sites, files.identities, retry_failed=False).write(killed)
        for lines in (5, 25, 50):
            site.requests.clear()
            _kill_after(job_path, killed / LEDGER_NAME, lines)
        known = {urlsplit(row.url).path for row in read_rows(killed / LEDGER_NAME)}
        site.requests.clear()
        crawl(CrawlJob(identities=files.identities, sites=files.sites, out=killed))

        assert fates(killed, site.url) == fates(calm, site.url)
        assert {r.image_id for r in list_crawl(killed, "w")} == {
            r.image_id for r in list_crawl(calm, "w")
        }
        again = {path for path in site.requests if path != "/robots.txt" and "?" not in path}
        assert not again & known
        assert again < asked_calmly
        assert list((killed / "partial").iterdir()) == []


def _kill_after(job_path: Path, ledger: Path, lines: int) -> None:
    """Run the child process and kill it with SIGKILL once its ledger has so many lines."""
    command = [sys.executable, "-m", "crawlers.child", str(job_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=REPOSITORY
    ) as child:
        deadline = time.monotonic() + 30
        while not ledger.exists() or ledger.read_bytes().count(b"\n") < lines:
            assert child.poll() is None, "the crawl ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)


def test_odd_answers_each_have_their_cause(
    odd_site, second_odd_site, respond, listing, image_bytes, crawl_files, tmp_path: Path
) -> None:
    photo = image_bytes(1)
    routes = {
        "/fine": respond(photo, Content_Type="text/plain"),
        "/moved": respond(status=301, Location="/fine"),
        "/empty": respond(b""),
        "/large": respond(b"\xff\xd8\xff" + b"x" * 60_000),
        "/endless": _endless,
        "/stalled": lambda _handler: time.sleep(2.0),
        "/hung-up": lambda handler: handler.connection.shutdown(socket.SHUT_RDWR),
        "/loop": respond(status=302, Location="/loop"),
        "/lost": respond(status=302),
        "/to-file": respond(status=302, Location="file:///etc/passwd"),
        "/to-other": respond(status=307, Location=f"{second_odd_site.url}/secret"),
        "/members": respond(status=403),
        "/busy": respond(status=429),
        "/down": respond(status=500),
        "/bomb": respond(_bomb(), Content_Encoding="gzip"),
    }
    odd_site.routes |= routes
    links = [
        *routes,
        f"{second_odd_site.url}/secret",
        "ftp://x/y",
        "data:image/png;base64,AA",
        "//[x",
    ]
    odd_site.routes["/people/ada"] = listing(links, following="/pdf")
    odd_site.routes["/pdf"] = respond(b"%PDF-1.7", Content_Type="application/pdf")
    identities, sites = crawl_files([odd_site], max_image_bytes=50_000, timeout_s=0.7)
    result = crawl(CrawlJob(identities=identities, sites=sites, out=tmp_path / "out"))

    assert {path: cause for _, path, cause, _ in fates(tmp_path / "out", odd_site.url)} == {
        "/fine": None,
        "/moved": None,
        "/empty": "empty",
        "/large": "too_large",
        "/endless": "too_large",
        "/bomb": "too_large",
        "/stalled": "timeout",
        "/hung-up": "connection_failed",
        "/loop": "too_many_redirects",
        "/lost": "bad_redirect",
        "/to-file": "bad_redirect",
        "/to-other": "redirect_off_site",
        "/members": "refused",
        "/busy": "rate_limited",
        "/down": "http_error",
        f"{second_odd_site.url}/secret": "off_site",
        "ftp://x/y": "unsupported_scheme",
        "data:image/png;base64,AA": "unsupported_scheme",
        "//[x": "bad_url",
    }
    assert result.counts.pages_failed == {"not_a_page": 1}
    assert second_odd_site.requests == []
    records = list(list_crawl(tmp_path / "out", "w"))
    assert [r.source_uri for r in records] == [f"{odd_site.url}/fine", f"{odd_site.url}/moved"]
    assert records[0].image_id == records[1].image_id
    agents = {headers["User-Agent"] for headers in odd_site.headers}
    assert len(agents) == 1
    assert re.fullmatch(r"Winnow/\S+ \(\+mailto:team@example\.org\)", agents.pop())
    assert not any("Cookie" in headers for headers in odd_site.headers)


def _endless(handler: BaseHTTPRequestHandler) -> None:
    """Send a body without an announced length until the other side hangs up."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    with suppress(ConnectionError):
        for _ in range(10_000):
            handler.wfile.write(b"\xff\xd8\xff" + b"x" * 9_997)


def _bomb() -> bytes:
    return gzip.compress(b"\xff\xd8\xff" + bytes(10_000_000))


def test_addresses_that_are_not_public_are_never_connected_to(
    odd_site, crawl_files, tmp_path: Path
) -> None:
    port = odd_site.host.rpartition(":")[2]
    forms = [f"localhost:{port}", f"0x7f.1:{port}", f"0x7f000001:{port}"]
    people = "identity,slug\nAda,ada\n"
    identities, sites = crawl_files([odd_site] * len(forms), people, allow_private=False)
    content = yaml.safe_load(sites.read_text())
    for site, form in zip(content["sites"], forms, strict=True):
        site |= {"start_url": f"http://{form}/people/{{slug}}", "allowed_hosts": [form]}
    sites.write_text(yaml.safe_dump(content))
    result = crawl(CrawlJob(identities=identities, sites=sites, out=tmp_path / "out"))
    assert result.counts.pages_failed == {"private_address": len(forms)}
    assert result.without_images == ("Ada",)
    assert odd_site.requests == []


def test_pages_of_several_sites_and_people_come_together(
    odd_site, second_odd_site, listing, respond, image_bytes, crawl_files, tmp_path: Path
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
    identities, sites = crawl_files([odd_site, second_odd_site], people, max_pages=2)
    job = CrawlJob(identities=identities, sites=sites, out=tmp_path / "out")
    result = crawl(job)
    assert result.counts.stored == 4
    assert result.counts.pages == 3
    assert result.counts.pages_failed == {"not_found": 1, "page_limit": 1, "robots_forbidden": 3}
    assert result.without_images == ("Nobody",)
    assert second_odd_site.requests == ["/robots.txt"]
    assert Counter(odd_site.requests)["/both"] == 1
    assert [(r.claimed_identity, urlsplit(r.source_uri).path) for r in _records(job)] == [
        ("Ada", "/1"),
        ("Ada", "/2"),
        ("Ada", "/both"),
        ('Bo "x"', "/both"),
    ]

    # People who are no longer listed are no longer part of the crawl.
    identities.write_text("identity,slug\nAda,ada\n")
    odd_site.requests.clear()
    assert crawl(job).counts.stored == 3
    assert {r.claimed_identity for r in _records(job)} == {"Ada"}

    # A wider page limit goes on where the narrow one stopped.
    crawl_files([odd_site], "identity,slug\nAda,ada\n", max_pages=5)
    assert crawl(job).counts.stored == 4
    assert sorted(odd_site.requests) == ["/3", "/people/ada?3", "/robots.txt"]

    # What failed for a passing reason is asked for again when told to.
    odd_site.routes["/people/nobody"] = listing(["/1"])
    crawl_files([odd_site], "identity,slug\nNobody,nobody\n")
    assert crawl(job).counts.stored == 0
    again = crawl(CrawlJob(identities=identities, sites=sites, out=job.out, retry_failed=True))
    assert again.counts.stored == 1


def _records(job: CrawlJob) -> list[ImageRecord]:
    return list(list_crawl(job.out, "w"))


def test_an_interrupted_caller_stops_its_crawler_which_has_no_secrets(
    small_web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    seen: list[tuple[int, str]] = []

    def interrupt(_counts: CrawlCounts) -> None:
        threads = Path("/proc/self/task").glob("*/children")
        pids = [int(pid) for thread in threads for pid in thread.read_text().split()]
        crawlers_pid = [p for p in pids if b"crawlers.child" in _proc(p, "cmdline")]
        seen.extend((pid, _proc(pid, "environ").decode()) for pid in crawlers_pid)
        raise KeyboardInterrupt

    with serve(small_web) as site:
        files = write_crawl_files(site, tmp_path / "files")
        job = CrawlJob(identities=files.identities, sites=files.sites, out=tmp_path / "out")
        with pytest.raises(KeyboardInterrupt):
            crawl(job, on_progress=interrupt)
        ((pid, environment),) = seen
        assert not Path(f"/proc/{pid}").exists()
        assert "secret" not in environment
        assert "PROXY" not in environment
        assert crawl(job).counts.stored == 52


def _proc(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def test_the_crawler_ends_with_a_caller_that_was_killed(small_web: Path, tmp_path: Path) -> None:
    with serve(small_web, Faults(slow=52, slow_s=0.5)) as site:
        files = write_crawl_files(site, tmp_path / "files")
        job = CrawlJob(identities=files.identities, sites=files.sites, out=tmp_path / "out")
        code = (
            "from pathlib import Path; from crawlers.run import CrawlJob, crawl;"
            f"crawl(CrawlJob(identities=Path({str(job.identities)!r}),"
            f"sites=Path({str(job.sites)!r}), out=Path({str(job.out)!r})),"
            "on_progress=lambda counts: print(counts.stored, flush=True))"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=REPOSITORY
        ) as caller:
            assert caller.stdout is not None
            caller.stdout.readline()
            caller.kill()
        # The next run waits for the lock that the orphan holds, so it would fail if that lived on.
        assert crawl(job).counts.stored == 52
        assert not [path for path, n in Counter(site.requests).items() if n > 2]


def test_output_that_cannot_be_written_stops_the_crawl(small_web: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "raw").write_bytes(b"in the way")
    with serve(small_web) as site:
        files = write_crawl_files(site, tmp_path / "files")
        job = CrawlJob(identities=files.identities, sites=files.sites, out=tmp_path / "out")
        with pytest.raises(CrawlError, match=r"^crawl output cannot be written \(Not a directory"):
            crawl(job)
        (tmp_path / "out" / "raw").unlink()
        assert crawl(job).counts.stored == 52
        Path(next(list_crawl(job.out, "w")).location).unlink()
        with pytest.raises(IntegrityError, match="is missing or cut off; run the crawl again"):
            list(list_crawl(job.out, "w"))
        assert crawl(job).counts.fetched == 1


def test_a_damaged_ledger_is_one_clear_error(small_web: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LEDGER_NAME).write_text("garbage\n")
    with serve(small_web) as site:
        files = write_crawl_files(site, tmp_path / "files")
        job = CrawlJob(identities=files.identities, sites=files.sites, out=tmp_path / "out")
        with pytest.raises(CrawlError, match=r"ledger.jsonl:1: not a ledger line"):
            crawl(job)


def test_requests_that_are_wrong_are_one_clear_error(tmp_path: Path) -> None:
    missing = CrawlJob(identities=tmp_path / "p.csv", sites=tmp_path / "s.yaml", out=tmp_path / "o")
    with pytest.raises(SourceError, match=r"identity list .*p.csv cannot be read"):
        crawl(missing)
    with pytest.raises(SourceError, match="holds no crawl"):
        list(list_crawl(tmp_path / "o", "w"))


def test_an_output_folder_that_is_a_file_is_one_clear_error(crawl_files, odd_site) -> None:
    identities, sites = crawl_files([odd_site])
    with pytest.raises(WorkspaceError, match=r"crawl folder .*people.csv cannot be written"):
        crawl(CrawlJob(identities=identities, sites=sites, out=identities))


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
        assert ran.stdout.strip() == "[]"
