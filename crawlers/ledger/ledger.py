"""The ledger of one crawl: what is wished for, what was answered, and the raw bytes.

Whatever :meth:`CrawlLedger.record` has returned for is on the disk: a crawl that is killed at any
moment goes on where it was, and asks for nothing again that it had recorded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Self

from crawlers.causes import Cause
from crawlers.counts import CrawlCounts
from crawlers.ledger.answers import AnswerBook
from crawlers.ledger.folder_lock import lock_folder
from crawlers.ledger.frontier import Frontier
from crawlers.ledger.intake import CHUNK, ClaimIntake
from crawlers.ledger.raw_index import RawIndex
from crawlers.ledger.rows import Claim, CrawlRules, Pending, Result
from crawlers.ledger.schema import (
    DONE,
    IS_CLAIMED,
    LEDGER_NAME,
    PENDING,
    connect_reader,
    connect_writer,
    translated,
)
from crawlers.ledger.shards import SHARD_BYTES, Placed
from crawlers.ledger.view import LedgerView
from facedata.errors import StorageError, WorkspaceError

_LOCK_WAIT_S = 10.0
_RULES, _LIST, _LIST_NUMBER = "rules", "list", "list number"
_NOTHING = Placed()


class CrawlLedger(LedgerView):
    """A ledger that is written to, by this process alone.

    :meth:`store`, :meth:`record` and :meth:`add_list` may each run in a thread of its own.
    """

    def __init__(
        self, folder: Path, lock: BinaryIO, rules: CrawlRules, shard_bytes: int = SHARD_BYTES
    ) -> None:
        """Use :meth:`open`."""
        path = folder / LEDGER_NAME
        self._writer = connect_writer(path)
        super().__init__(folder, connect_reader(path))
        self._folder_lock = lock
        self._rules = rules
        self._write_lock = threading.Lock()
        self._store_lock = threading.Lock()
        self._has_failed = False
        self._fetched = 0
        with translated(path):
            self._intake = ClaimIntake(self._writer, rules)
            self._answers = AnswerBook(self._writer, rules)
            self._raw = RawIndex(self._writer, folder, shard_bytes)
            self._frontier = Frontier(path)
            self._judge_again()

    @classmethod
    def open(
        cls,
        folder: Path,
        rules: CrawlRules,
        *,
        patience_s: float = _LOCK_WAIT_S,
        shard_bytes: int = SHARD_BYTES,
    ) -> Self:
        """Open or begin the ledger of a folder, to write.

        What a killed crawl left unfinished is cut off; images whose bytes are gone are pending
        again. Waits up to ``patience_s`` seconds for another crawl in the folder to end.

        Raises:
            CrawlError: when another crawl is still writing to the folder then.
            WorkspaceError: when the folder cannot be written to.
            IntegrityError: when the ledger is damaged, or of another version.
            StorageError: when the disk is full.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = lock_folder(folder, patience_s)
        except OSError as error:
            raise WorkspaceError(
                f"crawl folder {folder} cannot be written ({error.strerror}); "
                "choose a folder that you may write to, with room on its disk"
            ) from error
        try:
            return cls(folder, lock, rules, shard_bytes)
        except BaseException:
            lock.close()
            raise

    def close(self) -> None:
        """Close the ledger and end its last tar; after a failed write only close them.

        Raises:
            StorageError: when the disk is full.
        """
        with ExitStack() as closing, translated(self._path):
            closing.callback(self._folder_lock.close)
            closing.callback(self._writer.close)
            closing.callback(super().close)
            closing.callback(self._frontier.close)
            self._raw.close(is_whole=not self._has_failed)

    def add_claims(self, claims: Iterable[Claim], list_number: int = 0) -> None:
        """Take up claims; those that are known already change nothing.

        New URLs become pending. A claim on a known URL has its answer at once, and on a page that
        was read, what follows from it too. ``list_number`` is 0 for claims of no list.

        Raises:
            StorageError: when the disk is full; claims before are kept.
        """
        given = iter(claims)
        while chunk := list(islice(given, CHUNK)):
            with self._transaction():
                self._intake.take(chunk, list_number)

    def add_list(self, claims: Iterable[Claim], digest: str) -> None:
        """Take up a whole list, as :meth:`add_claims`, in place of the one before.

        The list that was taken up last, known by its ``digest``, is not read again. Claims of a
        list before that are not in this one are refused as not listed: what was stored for them no
        longer counts, and counts again when a later list has them. An exception that ``claims``
        raises leaves the list unfinished, to be taken up again.

        Raises:
            StorageError: when the disk is full; claims before are kept.
        """
        if self._fact(_LIST) == digest:
            return
        number = self._list_number + 1
        self.add_claims(claims, number)
        if number > 1:
            self._in_chunks(partial(self._intake.judge_chunk, list_number=number))
        self._put_facts({_LIST: digest, _LIST_NUMBER: str(number)})

    def pending(
        self,
        *,
        busy: Collection[str] = (),
        per_host: int,
        hosts: int,
        is_page: bool | None = None,
    ) -> list[Pending]:
        """Return URLs to ask for now, in the order claimed within each host.

        Each is handed out once until it is recorded or given back. ``per_host`` is the most of one
        host that is out at a time, ``hosts`` the most hosts in one answer; the next answer goes on
        behind them. Hosts in ``busy`` (as :attr:`Pending.host`) are left out. ``is_page`` None
        stands for pages and images.
        """
        with translated(self._path):
            return self._frontier.next(is_page=is_page, busy=busy, per_host=per_host, hosts=hosts)

    def give_back(self, pending: Iterable[Pending]) -> None:
        """Say that URLs that were handed out have not been asked for."""
        self._frontier.answered([one.number for one in pending])

    def store(self, bodies: Mapping[str, bytes]) -> Placed:
        """Write images' bytes, by their sha256 in hex; those that are stored are passed over.

        They are on the disk when this returns, and count once they are recorded.

        Raises:
            StorageError: when the disk is full or read-only.
        """
        with self._stopping_at_errors(), self._store_lock, translated(self._path):
            return self._raw.store(bodies)

    def record(self, results: Sequence[Result], placed: Placed = _NOTHING) -> None:
        """Write what came of URLs, durably, and take up what follows from pages.

        ``placed`` is what :meth:`store` returned for the bytes of these results; several are
        recorded in the order in which they were stored. A failure that says nothing about the
        image itself (a timeout, a server's error) leaves what was stored before.

        Raises:
            StorageError: when the disk is full or read-only; nothing of it is recorded then, and
                nothing more until the ledger was closed and opened again.
        """
        with self._stopping_at_errors(), self._transaction():
            self._raw.note(placed)
            for number, content in self._answers.record(results):
                self._intake.follow(number, content)
        self._raw.noted(placed)
        self._frontier.answered([result.pending.number for result in results])
        self._fetched += len(results)

    def counts(self) -> CrawlCounts:
        """Return how far the crawl is; ``fetched`` counts what was recorded since opening."""
        return replace(super().counts(), fetched=self._fetched)

    def retry_failed(self, causes: Collection[Cause] | None = None) -> None:
        """Make failed URLs pending again; ``causes`` None stands for all that were asked for."""
        chosen = list(Cause) if causes is None else list(causes)
        marks = ", ".join("?" * len(chosen))
        with self._transaction():
            self._writer.execute(
                f"UPDATE urls SET outcome = '{PENDING}' "
                f"WHERE outcome IN ({marks}) AND {IS_CLAIMED}",
                chosen,
            )

    def refresh(self, older_than: datetime) -> None:
        """Make pages and stored images pending again that were last fetched before a time.

        The same time given again goes on with what is left.
        """
        limit = older_than.astimezone(UTC).isoformat(timespec="milliseconds")
        with self._transaction():
            self._writer.execute(
                f"UPDATE urls SET outcome = '{PENDING}', size_bytes = 0 WHERE outcome = '{DONE}' "
                "AND (SELECT fetched_at FROM answers WHERE answers.number = urls.answer) < ? "
                f"AND {IS_CLAIMED}",
                (limit,),
            )

    @contextmanager
    def _stopping_at_errors(self) -> Iterator[None]:
        """Keep rows and bytes together: where one group is missing, none may follow."""
        if self._has_failed:
            raise StorageError(f"crawl ledger {self._path}: an earlier write failed; run again")
        try:
            yield
        except BaseException:
            self._has_failed = True
            raise

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._write_lock, translated(self._path), self._writer:
            self._writer.execute("BEGIN IMMEDIATE")
            yield

    def _judge_again(self) -> None:
        """Judge all claims by new rules; a kill on the way makes the next opening begin anew."""
        if self._fact(_RULES) == self._rules.digest:
            return
        self._in_chunks(partial(self._intake.judge_chunk, list_number=self._list_number))
        self._in_chunks(self._intake.follow_chunk)
        self._put_facts({_RULES: self._rules.digest})

    def _in_chunks(self, step: Callable[[tuple[int, str]], tuple[int, str] | None]) -> None:
        """Do a step for all claims in the order of their keys, a transaction for each chunk."""
        key: tuple[int, str] | None = (0, "")
        while key is not None:
            with self._transaction():
                key = step(key)

    @property
    def _list_number(self) -> int:
        """How many lists were taken up whole."""
        return int(self._fact(_LIST_NUMBER) or 0)

    def _fact(self, name: str) -> str | None:
        query = "SELECT value FROM facts WHERE name = ?"
        with self._write_lock, translated(self._path):
            row = self._writer.execute(query, (name,)).fetchone()
        return None if row is None else str(row[0])

    def _put_facts(self, facts: Mapping[str, str]) -> None:
        with self._transaction():
            put = "INSERT OR REPLACE INTO facts VALUES (?, ?)"
            self._writer.executemany(put, facts.items())
