"""What must be asked for next: fair over hosts, in the order claimed within each."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crawlers.ledger.rows import Pending
from crawlers.ledger.schema import HAS_BODY, PENDING, connect_reader
from crawlers.network.answer import Validators

_HOSTS = f"""
WITH RECURSIVE waiting (host) AS (
    SELECT min(host) FROM urls WHERE outcome = '{PENDING}' AND host > ?
    UNION ALL
    SELECT (SELECT min(u.host) FROM urls AS u WHERE u.outcome = '{PENDING}' AND u.host > w.host)
    FROM waiting AS w WHERE w.host IS NOT NULL
)
SELECT w.host, h.name FROM waiting AS w CROSS JOIN hosts AS h ON h.number = w.host
"""
"""Hosts behind a number that have something pending: one look at the index for each."""
_NUMBERS = f"""
SELECT number FROM urls
WHERE outcome = '{PENDING}' AND host = ? AND is_page = ? AND not_before <= ?
ORDER BY number LIMIT ?
"""
_URL = f"""
SELECT u.number, u.url, u.is_page, u.postponed, c.site, c.page_url,
    iif({HAS_BODY}, a.etag, NULL), iif({HAS_BODY}, a.last_modified, NULL)
FROM urls AS u
CROSS JOIN claims AS c ON c.url = u.number AND c.identity = (
    SELECT k.identity FROM claims AS k WHERE k.url = u.number AND k.cause IS NULL LIMIT 1
)
LEFT JOIN answers AS a ON a.number = u.answer
WHERE u.number = ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    number: int
    name: str
    out: frozenset[int]
    """Numbers of its URLs that are in flight."""


class Frontier:
    """Hands out pending URLs, each once until it is answered or given back.

    Memory grows with what is in flight, not with what is pending.
    """

    def __init__(self, path: Path) -> None:
        # Of its own: where another reader is half-way, its connection sees an old state.
        self._connection = connect_reader(path)
        self._lock = threading.Lock()
        self._out: dict[int, set[int]] = {}
        self._host_of: dict[int, int] = {}
        self._last_host = 0

    def next(
        self, *, is_page: bool | None, busy: Collection[str], per_host: int, hosts: int
    ) -> list[Pending]:
        """Return URLs to ask for, as :meth:`crawlers.ledger.ledger.CrawlLedger.pending`."""
        # Copied before the database is read: what is answered meanwhile is in one of the two.
        with self._lock:
            out = {host: frozenset(numbers) for host, numbers in self._out.items()}
        kinds = (True, False) if is_page is None else (is_page,)
        found: list[Pending] = []
        served = 0
        for number, name in self._waiting_hosts():
            host = _Host(number=number, name=name, out=out.get(number, frozenset()))
            if name in busy or len(host.out) >= per_host:
                continue
            urls = self._urls(host, kinds, per_host - len(host.out))
            if not urls:
                continue
            found += urls
            self._hand_out(host, urls)
            self._last_host = number
            served += 1
            if served == hosts:
                break
        return found

    def close(self) -> None:
        """Close the frontier."""
        self._connection.close()

    def answered(self, numbers: Iterable[int]) -> None:
        """Say that URLs are no longer in flight; those still pending may be handed out again."""
        with self._lock:
            for number in numbers:
                host = self._host_of.pop(number, None)
                if host is None:
                    continue
                self._out[host].discard(number)
                if not self._out[host]:
                    del self._out[host]

    def _hand_out(self, host: _Host, urls: Iterable[Pending]) -> None:
        with self._lock:
            for one in urls:
                self._out.setdefault(host.number, set()).add(one.number)
                self._host_of[one.number] = host.number

    def _waiting_hosts(self) -> Iterator[tuple[int, str]]:
        """Yield each host with something pending once, beginning behind the one served last."""
        first = self._last_host
        # Closed at once when the caller has enough: an open cursor would hold an old state.
        with closing(self._connection.execute(_HOSTS, (first,))) as rows:
            yield from rows
        with closing(self._connection.execute(_HOSTS, (0,))) as rows:
            for number, name in rows:
                if number > first:
                    return
                yield number, name

    def _urls(self, host: _Host, kinds: tuple[bool, ...], room: int) -> list[Pending]:
        now = time.time()
        run = self._connection.execute
        numbers: list[int] = []
        for kind in kinds:
            given = (host.number, kind, now, room + len(host.out))
            numbers += [number for (number,) in run(_NUMBERS, given) if number not in host.out]
        rows = (run(_URL, (number,)).fetchone() for number in sorted(numbers)[:room])
        return [_pending(row, host.name) for row in rows]


def _pending(row: tuple[Any, ...], host: str) -> Pending:
    number, url, is_page, postponed, site, page_url, etag, last_modified = row
    return Pending(
        number=number,
        site=site,
        url=url,
        is_page=bool(is_page),
        page_url=page_url,
        validators=Validators(etag=etag, last_modified=last_modified),
        host=host,
        postponed=postponed,
    )
