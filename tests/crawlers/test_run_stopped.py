"""Real crawls that are killed, interrupted or cannot write, and what the next run makes of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import crawlers
from crawlers.counts import CrawlCounts
from crawlers.job_file import LEDGER_NAME, plan_job
from crawlers.people import load_people
from crawlers.run import CrawlJob, crawl, list_crawl
from crawlers.sites import load_sites
from crawlers.url_ledger import ImageRow, read_rows
from demo.site import serve, write_crawl_files
from demo.site_faults import Faults
from facedata.errors import CrawlError, IntegrityError

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


def test_killed_crawls_lose_nothing_and_fetch_nothing_again(
    small_web: Path, tmp_path: Path
) -> None:
    # Slow enough for this test to see the ledger grow, also on a busy machine.
    with serve(small_web, replace(FAULTS, slow=26, slow_s=0.25)) as site:
        files = write_crawl_files(site, tmp_path / "files")
        calm, killed = tmp_path / "calm", tmp_path / "killed"
        crawl(CrawlJob(identities=files.identities, sites=files.sites, out=calm))
        asked_calmly = set(site.requests)

        killed.mkdir()
        people, sites = load_people(files.identities), load_sites(files.sites)
        job_path = plan_job(people, sites, files.identities, retry_failed=False).write(killed)
        for lines in (5, 40):
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


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks up processes in /proc")
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
