"""Reading a crawl ledger, also while a crawl writes it, and from a disk that is read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Self

from crawlers.causes import Cause
from crawlers.counts import CrawlCounts
from crawlers.ledger.columns import rights_of
from crawlers.ledger.rows import ClaimAccount, ClaimState, Outcome, StoredImage
from crawlers.ledger.schema import DONE, LEDGER_NAME, PENDING, connect_reader, translated
from crawlers.ledger.shards import shard_path
from facedata.errors import IntegrityError
from facedata.location import ByteRange, file_location, range_location

_TALLIES = """
SELECT t.is_page, t.outcome, sum(t.claims), sum(t.size_bytes) FROM tallies AS t
WHERE t.claims > 0 GROUP BY t.is_page, t.outcome
"""
_TALLIES_BY_HOST = """
SELECT h.name, t.is_page, t.outcome, t.claims, t.size_bytes FROM tallies AS t
JOIN hosts AS h ON h.number = t.host WHERE t.claims > 0 ORDER BY h.name
"""
_ACCOUNTS = """
SELECT c.identity, c.site, u.url, u.is_page, coalesce(c.cause, u.outcome),
    iif(c.cause IS NULL AND a.cause IS NULL, a.sha256, NULL)
FROM claims AS c JOIN urls AS u ON u.number = c.url LEFT JOIN answers AS a ON a.number = u.answer
"""
_STORED = """
SELECT c.identity, c.site, u.url, c.page_url,
    c.licence, c.licence_url, c.author, c.attribution,
    a.fetched_at, a.detail, a.final_url, a.http_status, a.content_type, a.etag, a.last_modified,
    a.robots, a.is_unchanged, a.sha256, a.size_bytes,
    s.spider, s.version, r.shard, r.offset, r.size_bytes
FROM claims AS c
JOIN urls AS u ON u.number = c.url AND NOT u.is_page
JOIN answers AS a ON a.number = u.answer AND a.cause IS NULL
JOIN readers AS s ON s.number = a.reader
JOIN raw AS r ON r.sha256 = a.sha256
WHERE c.cause IS NULL ORDER BY c.identity, u.url
"""
_IMAGES_OF = """
SELECT c.identity, count(*) FROM claims AS c
JOIN urls AS u ON u.number = c.url AND NOT u.is_page
JOIN answers AS a ON a.number = u.answer AND a.cause IS NULL
JOIN raw AS r ON r.sha256 = a.sha256
WHERE c.cause IS NULL GROUP BY c.identity
"""


class LedgerView:
    """What a crawl's ledger says."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self._folder = folder
        self._path = folder / LEDGER_NAME
        self._reader = connection

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Open the ledger of a crawl folder to read it.

        Raises:
            SourceError: when ``folder`` holds no crawl.
            IntegrityError: when the ledger is damaged, or of another version.
            StorageError: when it cannot be read.
        """
        return cls(folder, connect_reader(folder / LEDGER_NAME))

    def close(self) -> None:
        """Close the ledger."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def counts(self) -> CrawlCounts:
        """Return how far the crawl is; ``fetched`` is 0 here, being of a run."""
        with translated(self._path):
            return _counts(self._reader.execute(_TALLIES).fetchall())

    def by_host(self) -> dict[str, CrawlCounts]:
        """Return how far the crawl is at each host, sorted by name; bad URLs are of host ``""``."""
        rows: dict[str, list[tuple[Any, ...]]] = {}
        with translated(self._path):
            for host, *tally in self._reader.execute(_TALLIES_BY_HOST):
                rows.setdefault(host, []).append(tuple(tally))
        return {host: _counts(tallies) for host, tallies in rows.items()}

    def is_settled(self) -> bool:
        """Say whether no URL waits for an answer."""
        query = f"SELECT 1 FROM urls WHERE outcome = '{PENDING}' LIMIT 1"
        with translated(self._path):
            return self._reader.execute(query).fetchone() is None

    def accounts(self) -> Iterator[ClaimAccount]:
        """Yield every claim with what became of it, in no order."""
        with translated(self._path):
            for row in self._reader.execute(_ACCOUNTS):
                yield _account(row)

    def stored(
        self, identities: Collection[str] | None = None, sites: Collection[str] | None = None
    ) -> Iterator[StoredImage]:
        """Yield the stored images of these people on these sites, sorted by identity and URL.

        None stands for all. An image that is asked for once more counts as it was stored before.

        Raises:
            IntegrityError: when a file with raw bytes is missing or cut off.
        """
        sizes: dict[int, int] = {}
        with translated(self._path):
            for row in self._reader.execute(_STORED):
                if identities is not None and row[0] not in identities:
                    continue
                if sites is not None and row[1] not in sites:
                    continue
                yield self._stored_image(row, sizes)

    def images_of(self) -> dict[str, int]:
        """Return how many images are stored of each identity that has any, as :meth:`stored`."""
        with translated(self._path):
            return dict(self._reader.execute(_IMAGES_OF).fetchall())

    def _stored_image(self, row: tuple[Any, ...], sizes: dict[int, int]) -> StoredImage:
        identity, site, url, page_url = row[:4]
        spider, version, shard, offset, size = row[19:]
        path = shard_path(self._folder, shard)
        if shard not in sizes:
            sizes[shard] = path.stat().st_size if path.exists() else 0
        if offset + size > sizes[shard]:
            raise IntegrityError(
                f"{path} ({url}) is missing or cut off; run the crawl again to fetch it"
            )
        place = ByteRange(offset=offset, length=size)
        return StoredImage(
            identity=identity,
            site=site,
            url=url,
            page_url=page_url,
            location=range_location([place], file_location(path)),
            outcome=_outcome(url, row[8:19]),
            rights=rights_of(row[4:8]),
            spider=spider,
            spider_version=version,
        )


def _counts(tallies: list[tuple[Any, ...]]) -> CrawlCounts:
    """Sum up rows of kind, outcome, claims and bytes, one for each kind and outcome."""
    done: dict[bool, int] = {True: 0, False: 0}
    pending: dict[bool, int] = {True: 0, False: 0}
    failed: dict[bool, dict[str, int]] = {True: {}, False: {}}
    size_bytes = 0
    for kind, outcome, claims, size in tallies:
        is_page = bool(kind)
        size_bytes += size
        if outcome == DONE:
            done[is_page] = claims
        elif outcome == PENDING:
            pending[is_page] = claims
        else:
            failed[is_page][outcome] = claims
    return CrawlCounts(
        requested=done[False] + pending[False] + sum(failed[False].values()),
        stored=done[False],
        failed=dict(sorted(failed[False].items())),
        size_bytes=size_bytes,
        pages=done[True],
        pages_failed=dict(sorted(failed[True].items())),
        pages_pending=pending[True],
    )


def _account(row: tuple[Any, ...]) -> ClaimAccount:
    identity, site, url, is_page, outcome, sha256 = row
    states = {PENDING: ClaimState.PENDING, DONE: ClaimState.STORED}
    state = states.get(outcome, ClaimState.FAILED)
    return ClaimAccount(
        identity=identity,
        site=site,
        url=url,
        is_page=bool(is_page),
        state=state,
        cause=Cause(outcome) if state is ClaimState.FAILED else None,
        sha256=None if sha256 is None else sha256.hex(),
    )


def _outcome(url: str, columns: tuple[Any, ...]) -> Outcome:
    """Return the outcome in the columns ``fetched_at`` to ``size_bytes`` of ``_STORED``."""
    (
        fetched_at,
        detail,
        final_url,
        http_status,
        content_type,
        etag,
        last_modified,
        robots,
        is_unchanged,
        sha256,
        size_bytes,
    ) = columns
    return Outcome(
        url=url,
        fetched_at=fetched_at,
        detail=detail,
        final_url=final_url,
        http_status=http_status,
        content_type=content_type,
        etag=etag,
        last_modified=last_modified,
        robots=robots,
        is_unchanged=bool(is_unchanged),
        sha256=sha256.hex(),
        size_bytes=size_bytes,
    )
