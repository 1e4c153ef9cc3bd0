"""Real crawls that are killed, interrupted or cannot write, and what the next run makes of it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import crawlers
from crawlers.counts import CrawlProgress
from crawlers.ledger.rows import ClaimAccount, ClaimState
from crawlers.ledger.view import LedgerView
from crawlers.process.partitions import Partition
from crawlers.process.planning import make_job, plan_crawl
from crawlers.run import CrawlJob, crawl, list_crawl
from demo.site import serve, write_crawl_files
from demo.site_faults import Faults
from facedata.errors import CrawlError, IntegrityError
from facedata.location import read_bytes, split_location

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
OWN_FILES = {"/robots.txt", "/.well-known/tdmrep.json"}
KILLS = 4


def accounts(out: Path) -> set[ClaimAccount]:
    """What became of every claim in the ledger of a crawl in one part."""
    with LedgerView.read(out / "1-of-1") as ledger:
        found = list(ledger.accounts())
    assert len(found) == len(set(found))
    return set(found)


def test_killed_crawls_lose_nothing_and_fetch_nothing_again(
    small_web: Path, tmp_path: Path, job_of
) -> None:
    with serve(small_web, replace(FAULTS, slow=26, slow_s=0.3)) as site:
        files = write_crawl_files(site, tmp_path / "files")
        calm, killed = (
            job_of((files.identities, files.sites), out=name) for name in ("calm", "killed")
        )
        crawl(calm)
        chance = random.Random(8)
        for _ in range(KILLS):
            _kill_while_crawling(killed, chance.random())
            known = {one.url for one in accounts(killed.out) if one.state is not ClaimState.PENDING}
            site.requests.clear()
        crawl(killed)

        assert accounts(killed.out) == accounts(calm.out)
        again = {f"{site.url}{path}" for path in site.requests if path not in OWN_FILES}
        assert not again & known
        for one in list_crawl(killed.out, "w"):
            original = small_web / "site" / one.source_uri.removeprefix(f"{site.url}/")
            assert read_bytes(one.location) == original.read_bytes()


def _start_child(job: CrawlJob) -> subprocess.Popen[str]:
    """Start the process that crawls a job's only partition."""
    plan = plan_crawl(job.source)
    folder = job.out / Partition().folder
    folder.mkdir(parents=True, exist_ok=True)
    file = make_job(plan, job.name, Partition(), job.licences)
    path = file.write(folder, plan.starts(Partition()))
    return subprocess.Popen(
        [sys.executable, "-m", "crawlers.child", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        text=True,
    )


def _kill_while_crawling(job: CrawlJob, moment: float) -> None:
    """Crawl, and end the child with SIGKILL so many seconds after its first sign of life."""
    with _start_child(job) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(moment)
        child.kill()


def test_a_crawler_that_is_told_to_stop_finishes_what_is_under_way(
    small_web: Path, tmp_path: Path, job_of
) -> None:
    with serve(small_web, Faults(slow=52, slow_s=0.3)) as site:
        files = write_crawl_files(site, tmp_path / "files")
        job = job_of((files.identities, files.sites))
        with _start_child(job) as child:
            assert child.stdout is not None
            while CrawlProgress.from_json(child.stdout.readline()).counts.stored == 0:
                pass
            child.terminate()
            assert child.stderr is not None
            said = child.stderr.read()
        assert child.returncode == 1
        assert said == "crawl stopped before it was complete; run it again to go on\n"
        stored = {one.url for one in accounts(job.out) if one.sha256 is not None}
        photos = {f"{site.url}{path}" for path in site.requests if path.startswith("/photos/")}
        assert stored == photos
        assert 0 < len(stored) < 52
        assert crawl(job).counts.stored == 52
        assert set(Counter(p for p in site.requests if p.startswith("/photos/")).values()) == {1}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks up processes in /proc")
def test_an_interrupted_caller_stops_its_crawler_which_has_no_secrets(
    small_web: Path, tmp_path: Path, job_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    seen: list[tuple[int, str]] = []

    def interrupt(_progress: CrawlProgress) -> None:
        threads = Path("/proc/self/task").glob("*/children")
        pids = [int(pid) for thread in threads for pid in thread.read_text().split()]
        crawlers_pid = [p for p in pids if b"crawlers.child" in _proc(p, "cmdline")]
        seen.extend((pid, _proc(pid, "environ").decode()) for pid in crawlers_pid)
        raise KeyboardInterrupt

    with serve(small_web) as site:
        files = write_crawl_files(site, tmp_path / "files")
        job = job_of((files.identities, files.sites))
        with pytest.raises(KeyboardInterrupt):
            crawl(job, on_progress=interrupt)
        ((pid, environment),) = seen
        assert not Path(f"/proc/{pid}").exists()
        assert "secret" not in environment
        assert "PROXY" not in environment
        assert crawl(job).counts.stored == 52


def _proc(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def test_the_crawler_ends_with_a_caller_that_was_killed(
    small_web: Path, tmp_path: Path, job_of
) -> None:
    with serve(small_web, Faults(slow=52, slow_s=0.5)) as site:
        files = write_crawl_files(site, tmp_path / "files")
        job = job_of((files.identities, files.sites))
        code = (
            "from pathlib import Path; from crawlers.run import CrawlJob, crawl;"
            "from facedata.options import CrawlSource;"
            f"crawl(CrawlJob(source=CrawlSource.model_validate({job.source.model_dump()!r}),"
            f"out=Path({str(job.out)!r})), on_progress=lambda told: print('on', flush=True))"
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


def test_output_that_cannot_be_written_stops_the_crawl(
    small_web: Path, tmp_path: Path, job_of
) -> None:
    with serve(small_web) as site:
        files = write_crawl_files(site, tmp_path / "files")
        job = job_of((files.identities, files.sites))
        part = job.out / "1-of-1"
        part.mkdir(parents=True)
        (part / "raw").write_bytes(b"in the way")
        with pytest.raises(CrawlError, match=r"^crawl output .*raw.* cannot be used .*make room"):
            crawl(job)
        (part / "raw").unlink()
        assert crawl(job).counts.stored == 52
        _, file = split_location(next(iter(list_crawl(job.out, "w"))).location)
        Path(file).unlink()
        with pytest.raises(IntegrityError, match="is missing or cut off; run the crawl again"):
            list(list_crawl(job.out, "w"))
        assert crawl(job).counts.fetched == 52
        assert len(list(list_crawl(job.out, "w"))) == 52


def test_a_damaged_ledger_is_one_clear_error(small_web: Path, tmp_path: Path, job_of) -> None:
    with serve(small_web) as site:
        files = write_crawl_files(site, tmp_path / "files")
        job = job_of((files.identities, files.sites))
        (job.out / "1-of-1").mkdir(parents=True)
        (job.out / "1-of-1" / "ledger.sqlite").write_text("garbage\n" * 1_000)
        with pytest.raises(CrawlError, match=r"crawl ledger .*ledger.sqlite: damaged"):
            crawl(job)
