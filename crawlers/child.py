"""The crawler's own process: ``python -m crawlers.child JOBFILE``, started by ``crawlers.run``.

One JSON line of progress goes to standard output now and then and at the end; warnings and, last,
the reason of a failure go to standard error. The process ends when its standard input is closed,
so that it never outlives the run that started it; on SIGTERM it finishes what is under way. Exit
code 0 means that the crawl is complete.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import signal
import sys
import threading
from contextlib import closing
from pathlib import Path

from crawlers.job_file import JobFile, read_job
from crawlers.ledger.ledger import CrawlLedger
from crawlers.ledger.writer import LedgerWriter
from crawlers.network.fetcher import Fetcher
from crawlers.network.user_agent import UserAgent
from crawlers.process.crawl import PartitionCrawl, Tools
from crawlers.process.rules import crawl_rules
from crawlers.process.telling import Teller
from crawlers.process.wishes import Wishes
from facedata.errors import WinnowError


def main(arguments: list[str]) -> int:
    """Run the job named in ``arguments`` and return the exit code."""
    path = Path(arguments[0])
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    try:
        job = read_job(path)
        rules = crawl_rules(job, importlib.metadata.version("winnow-faces"))
        with closing(CrawlLedger.open(path.parent, rules)) as ledger:
            if job.retry_failed:
                ledger.retry_failed()
            if job.refresh_before is not None:
                ledger.refresh(job.refresh_before)
            asyncio.run(_crawl(job, path, ledger))
    except WinnowError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"crawl output {path.parent} cannot be used: {error}\n")
        return 1
    return 0


async def _crawl(job: JobFile, path: Path, ledger: CrawlLedger) -> None:
    writer = LedgerWriter(ledger)
    async with Fetcher(_user_agent(job)) as fetcher:
        teller = Teller(ledger, fetcher)
        tools = Tools(ledger=ledger, writer=writer, fetcher=fetcher)
        crawl = PartitionCrawl(job.sites, job.total, tools, teller.meter)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, crawl.stop)
        telling = asyncio.create_task(teller.tell_always())
        try:
            await crawl.run(Wishes(job=job, path=path))
        finally:
            telling.cancel()
            await writer.close()
        teller.tell(is_last=True)


def _user_agent(job: JobFile) -> UserAgent:
    """Say who asks, with an address for whoever wants to know why."""
    version = importlib.metadata.version("winnow-faces")
    header = f"{job.sites.user_agent}/{version} (+{job.sites.contact})"
    return UserAgent(header=header, robots_name=job.sites.user_agent)


def _exit_with_parent() -> None:
    """End the process once standard input is closed; the ledger is safe at any moment."""
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
