"""Recording from an event loop: what comes together is made durable together."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from crawlers.ledger.ledger import CrawlLedger
from crawlers.ledger.rows import Result
from crawlers.ledger.shards import Placed

_GATHER_S = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    result: Result
    body: bytes | None
    written: asyncio.Future[None]


class LedgerWriter:
    """Groups what is put within a moment: one append and one transaction for many.

    The bytes of one group are written while the rows of the group before are. Made, used and
    closed in one event loop, beside which two threads write. After an error nothing more is
    written: everybody who waits, and who comes later, is told the same error.
    """

    def __init__(self, ledger: CrawlLedger) -> None:
        self._ledger = ledger
        self._bytes_thread = ThreadPoolExecutor(1, "crawl-bytes")
        self._rows_thread = ThreadPoolExecutor(1, "crawl-rows")
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    async def put(self, result: Result, body: bytes | None = None) -> None:
        """Record a result; returns once it is on the disk.

        ``body`` is a stored image's, whose sha256 is in the outcome. What was put is written even
        when nobody waits for it any more.

        Raises:
            StorageError: when the disk is full or read-only.
        """
        if self._failure is not None:
            raise self._failure
        loop = asyncio.get_running_loop()
        waiting = _Waiting(result=result, body=body, written=loop.create_future())
        self._waiting.append(waiting)
        if self._writing is None or self._writing.done():
            self._writing = loop.create_task(self._write())
        await waiting.written

    async def close(self) -> None:
        """Write what is left, and end the threads; the ledger stays open."""
        if self._writing is not None:
            await self._writing
        self._bytes_thread.shutdown()
        self._rows_thread.shutdown()

    async def _write(self) -> None:
        recording: asyncio.Task[None] | None = None
        while self._waiting or recording is not None:
            if self._waiting:
                # Of a small transaction most of the work is its beginning and end.
                await asyncio.sleep(_GATHER_S)
            group, self._waiting = self._waiting, []
            storing = self._store(group)
            await asyncio.wait([storing])
            if recording is not None:
                await recording
            recording = asyncio.create_task(self._record(group, storing)) if group else None

    def _store(self, group: list[_Waiting]) -> asyncio.Future[Placed]:
        bodies = {
            one.result.outcome.sha256: one.body
            for one in group
            if one.body is not None and one.result.outcome.sha256 is not None
        }
        loop = asyncio.get_running_loop()
        if bodies and self._failure is None:
            return loop.run_in_executor(self._bytes_thread, self._ledger.store, bodies)
        nothing: asyncio.Future[Placed] = loop.create_future()
        nothing.set_result(Placed())
        return nothing

    async def _record(self, group: list[_Waiting], storing: asyncio.Future[Placed]) -> None:
        error = self._failure or storing.exception()
        if error is None:
            results = [one.result for one in group]
            loop = asyncio.get_running_loop()
            recording = loop.run_in_executor(
                self._rows_thread, self._ledger.record, results, storing.result()
            )
            await asyncio.wait([recording])
            error = recording.exception()
        self._failure = error
        for one in group:
            _tell(one.written, error)


def _tell(written: asyncio.Future[None], error: BaseException | None) -> None:
    if written.cancelled():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
