from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crawlers.ledger.rows import Claim

CLAIMS = 200_000


def make_claims(first: int, last: int) -> Iterator[Claim]:
    for n in range(first, last):
        host = f"x.org.host-{n % 500}"
        url = f"https://{host}/people/{n // 40}/photos/{n}-{n * 7919 % 1_000_003:06}.jpg"
        yield Claim(identity=f"Person {n // 40}", site="s", url=url)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc")
def test_memory_does_not_grow_with_the_claims(crawl: Any) -> None:
    crawl.ledger.add_claims(make_claims(0, CLAIMS // 2))
    before = resident_bytes()
    crawl.ledger.add_claims(make_claims(CLAIMS // 2, CLAIMS))
    # The database's cache alone may fill up: a claim in memory would take about 500 bytes.
    assert resident_bytes() - before < 24 << 20
    assert crawl.ledger.counts().requested == CLAIMS
    started = time.monotonic()
    batch = crawl.pending(per_host=8, hosts=500)
    assert len(batch) == 4_000
    assert len({one.host for one in batch}) == 500
    assert time.monotonic() - started < 5
    assert resident_bytes() - before < 32 << 20
