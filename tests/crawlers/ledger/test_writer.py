from __future__ import annotations

import asyncio
import hashlib
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from crawlers.causes import Cause
from crawlers.ledger.rows import Claim, Outcome, Pending, Result
from crawlers.ledger.writer import LedgerWriter
from facedata.errors import StorageError
from facedata.location import read_bytes

X = "https://x.org"
Maker = Callable[..., Any]


def result_of(pending: Pending, body: bytes | None) -> Result:
    outcome = Outcome(
        url=pending.url,
        fetched_at="2026-01-01T00:00:00+00:00",
        cause=None if body else Cause.TIMEOUT,
        sha256=hashlib.sha256(body).hexdigest() if body else None,
        size_bytes=len(body) if body else None,
    )
    return Result(pending=pending, outcome=outcome)


def claim_images(crawl: Any, number: int) -> list[Pending]:
    crawl.ledger.add_claims(Claim(identity="Ada", site="s", url=f"{X}/{n}") for n in range(number))
    pending: list[Pending] = crawl.pending()
    return pending


def test_what_comes_together_is_written_together(crawl: Any, body: Maker) -> None:
    pending = claim_images(crawl, 200)
    groups: list[int] = []
    record = crawl.ledger.record

    def counting(results: Any, placed: Any) -> None:
        groups.append(len(results))
        record(results, placed)

    async def put_all() -> None:
        crawl.ledger.record = counting
        writer = LedgerWriter(crawl.ledger)
        async with asyncio.TaskGroup() as tasks:
            for number, one in enumerate(pending):
                data = body(f"{number % 50}") if number % 5 else None
                tasks.create_task(writer.put(result_of(one, data), data))
        await writer.close()

    asyncio.run(put_all())
    assert groups == [200]
    assert crawl.ledger.counts().stored == 160
    assert crawl.ledger.counts().failed == {"timeout": 40}
    assert {one.url: read_bytes(one.location) for one in crawl.ledger.stored()} == {
        f"{X}/{n}": body(f"{n % 50}") for n in range(200) if n % 5
    }


def test_a_put_returns_when_others_can_read_it(crawl: Any, body: Maker) -> None:
    pending = claim_images(crawl, 30)
    seen: list[tuple[int, int]] = []

    async def put_all() -> None:
        writer = LedgerWriter(crawl.ledger)
        for number, one in enumerate(pending, 1):
            await writer.put(result_of(one, body(one.url)), body(one.url))
            seen.append((number, crawl.ledger.counts().stored))
        await writer.close()

    asyncio.run(put_all())
    assert seen == [(n, n) for n in range(1, 31)]


def test_who_stops_waiting_is_written_all_the_same(crawl: Any, body: Maker) -> None:
    one, two = claim_images(crawl, 2)

    async def put_and_leave() -> None:
        writer = LedgerWriter(crawl.ledger)
        leaving = asyncio.create_task(writer.put(result_of(one, body("1")), body("1")))
        staying = asyncio.create_task(writer.put(result_of(two, None)))
        await asyncio.sleep(0)
        leaving.cancel()
        await staying
        await writer.close()
        assert leaving.cancelled()

    asyncio.run(put_and_leave())
    assert crawl.ledger.is_settled()
    assert crawl.ledger.counts().stored == 1


def test_a_full_disk_is_told_to_everybody_and_ends_the_writing(crawl: Any, body: Maker) -> None:
    big = body("x" * 3_000_000)
    pending = claim_images(crawl, 12)

    async def put_all() -> list[BaseException | None]:
        writer = LedgerWriter(crawl.ledger)
        await writer.put(result_of(pending[0], body("small")), body("small"))
        with files_up_to(1_000_000):
            puts = [writer.put(result_of(one, big), big) for one in pending[1:6]]
            puts += [writer.put(result_of(one, None)) for one in pending[6:10]]
            told = await asyncio.gather(*puts, return_exceptions=True)
        told += await asyncio.gather(
            *(writer.put(result_of(one, None)) for one in pending[10:]), return_exceptions=True
        )
        await writer.close()
        return told

    told = asyncio.run(put_all())
    assert len(told) == 11
    assert {type(error) for error in told} == {StorageError}
    assert str(told[0]).endswith(
        "make room on its disk, see that it may be written to, and run again"
    )
    with pytest.raises(StorageError, match="an earlier write failed; run again"):
        crawl.ledger.record([result_of(pending[1], None)])
    crawl.reopen()
    assert [one.url for one in crawl.ledger.stored()] == [f"{X}/0"]
    assert len(crawl.pending()) == 11
    assert (crawl.folder / "raw" / "000000.tar").stat().st_size == 1_024


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
