"""Taking up claims: new URLs become pending, and what is known already counts at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlsplit

from crawlers.causes import Cause
from crawlers.ledger.columns import content_of, content_text, rights_columns, rights_of
from crawlers.ledger.many_rows import execute_rows
from crawlers.ledger.rows import Claim, CrawlRules
from crawlers.ledger.schema import IS_CLAIMED, PENDING, UNWANTED
from crawlers.ledger.text import storable
from crawlers.spiders.page_content import PageContent

CHUNK = 5_000
"""Claims that are in memory at a time."""
_OPT_OUTS = frozenset({Cause.OPTED_OUT, Cause.TDM_RESERVED})
"""Causes that a claim has of the page that it was made because of; no rules change that."""

_INCOMING = """
CREATE TEMP TABLE IF NOT EXISTS incoming (
    number INTEGER, host TEXT, url TEXT, scope TEXT, is_page INTEGER,
    identity TEXT, site TEXT, page_url TEXT, page_number INTEGER,
    licence TEXT, licence_url TEXT, author TEXT, attribution TEXT, cause TEXT
)
"""
_PUT_INCOMING = "INSERT INTO incoming {rows}"
_PUT_HOSTS = """
INSERT INTO hosts (name) SELECT DISTINCT host FROM incoming WHERE true ON CONFLICT DO NOTHING
"""
_PUT_URLS = f"""
INSERT INTO urls (url, scope, is_page, host, outcome)
SELECT i.url, i.scope, i.is_page, h.number, iif(i.cause IS NULL, '{PENDING}', '{UNWANTED}')
FROM incoming AS i CROSS JOIN hosts AS h ON h.name = i.host WHERE true ORDER BY i.rowid
ON CONFLICT DO NOTHING
"""
_FIND_URLS = """
UPDATE incoming SET number = (
    SELECT u.number FROM urls AS u WHERE u.url = incoming.url AND u.scope = incoming.scope
)
"""
_WAKE_URLS = f"""
UPDATE urls SET outcome = '{PENDING}' WHERE outcome = '{UNWANTED}'
    AND number IN (SELECT number FROM incoming WHERE cause IS NULL)
"""
# What may be asked for goes before what was refused, and the shorter way to a page before the
# longer one, so that the order in which pages are read does not decide what is found.
_PUT_CLAIMS = """
INSERT INTO claims SELECT number, identity, site, page_url, page_number,
    licence, licence_url, author, attribution, ?, cause
FROM incoming WHERE is_page = ? ORDER BY rowid
ON CONFLICT DO UPDATE SET
    list_number = excluded.list_number,
    site = excluded.site, page_url = excluded.page_url, page_number = excluded.page_number,
    licence = excluded.licence, licence_url = excluded.licence_url,
    author = excluded.author, attribution = excluded.attribution, cause = excluded.cause
WHERE excluded.cause IS NULL
    AND (claims.cause IS NOT NULL OR excluded.page_number < claims.page_number)
"""
_STILL_LISTED = """
UPDATE claims SET list_number = ? FROM incoming AS i
WHERE claims.url = i.number AND claims.identity = i.identity AND claims.list_number > 0
"""
_CLAIM_COLUMNS = """u.url, c.identity, c.site, c.page_url, c.page_number,
    c.licence, c.licence_url, c.author, c.attribution"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadPage:
    """A page whose content is known, as one identity claims it."""

    url: str
    content: PageContent
    identity: str
    site: str
    page_number: int


class ClaimIntake:
    """Writes claims with the ledger's connection; the caller begins and ends transactions."""

    def __init__(self, connection: sqlite3.Connection, rules: CrawlRules) -> None:
        self._connection = connection
        self._rules = rules
        connection.execute(_INCOMING)

    def take(self, claims: Iterable[Claim], list_number: int = 0) -> None:
        """Take up claims, and what follows from pages among them that were read before.

        ``list_number`` counts the lists of a crawl from 1; it is 0 for claims of no list.
        """
        read_before: list[tuple[int, str]] = []
        given = iter(claims)
        while chunk := list(islice(given, CHUNK)):
            read_before += self._put(chunk, list_number)
        while read_before:
            pages, read_before = read_before, []
            following = self._claims_on(pages)
            while chunk := list(islice(following, CHUNK)):
                read_before += self._put(chunk, 0)

    def follow(self, number: int, content: PageContent) -> None:
        """Keep what a page holds, and take up what follows from it for all who claim the page.

        A page that cannot be used any more leads nobody on. One that has opted out takes the
        images with it that were claimed because of it.
        """
        if content.cause is not None:
            if content.cause in _OPT_OUTS:
                self._apply(list(self._claims_because_of(number, content.cause)))
            self._connection.execute("DELETE FROM pages WHERE url = ?", (number,))
            return
        row = (number, content_text(content))
        self._connection.execute("INSERT OR REPLACE INTO pages VALUES (?, ?)", row)
        self.take(self._claims_on(self._claimants(number)))

    def judge_chunk(self, after: tuple[int, str], list_number: int) -> tuple[int, str] | None:
        """Judge the claims behind the key ``after`` again; return the last one's key, if any.

        Those of lists before ``list_number`` are not listed any more.
        """
        query = f"""
            SELECT c.url, c.cause, c.list_number, {_CLAIM_COLUMNS} FROM claims AS c
            CROSS JOIN urls AS u ON u.number = c.url
            WHERE (c.url, c.identity) > (?, ?) ORDER BY c.url, c.identity LIMIT {CHUNK}
        """
        rows = self._connection.execute(query, after).fetchall()
        if not rows:
            return None
        changed: list[tuple[str | None, int, str]] = []
        for number, old, latest, *columns in rows:
            claim = _claim(columns)
            was_removed = 0 < latest < list_number
            cause = Cause.NOT_LISTED if was_removed else self._rules.refusal(claim)
            if cause != old and old not in _OPT_OUTS:
                changed.append((cause, number, claim.identity))
        self._apply(changed)
        number, _, _, _, identity, *_ = rows[-1]
        return number, identity

    def follow_chunk(self, after: tuple[int, str]) -> tuple[int, str] | None:
        """Take up again what follows from the pages claimed behind the key ``after``."""
        query = f"""
            SELECT c.url, c.identity FROM claims AS c CROSS JOIN pages AS p ON p.url = c.url
            WHERE (c.url, c.identity) > (?, ?) AND c.cause IS NULL
            ORDER BY c.url, c.identity LIMIT {CHUNK // 50}
        """
        keys = self._connection.execute(query, after).fetchall()
        self.take(self._claims_on(keys))
        return keys[-1] if keys else None

    def _apply(self, changed: Sequence[tuple[str | None, int, str]]) -> None:
        """Write new judgements; URLs wake up, or are no longer asked for."""
        run = self._connection.executemany
        accepted = [(number,) for cause, number, _ in changed if cause is None]
        wake = f"UPDATE urls SET outcome = '{PENDING}' WHERE number = ? AND outcome = '{UNWANTED}'"
        run(wake, accepted)
        run("UPDATE claims SET cause = ? WHERE url = ? AND identity = ?", changed)
        refused = [(number,) for cause, number, _ in changed if cause is not None]
        drop = f"""UPDATE urls SET outcome = '{UNWANTED}'
            WHERE number = ? AND outcome = '{PENDING}' AND NOT {IS_CLAIMED}"""
        run(drop, refused)

    def _claimants(self, number: int) -> list[tuple[int, str]]:
        query = "SELECT url, identity FROM claims WHERE url = ? AND cause IS NULL"
        return self._connection.execute(query, (number,)).fetchall()

    def _claims_because_of(self, page: int, cause: Cause) -> Iterator[tuple[Cause, int, str]]:
        """Yield the claims on images that were made because of a page, with a new cause."""
        query = """
            SELECT c.url FROM urls AS u JOIN claims AS c ON c.url = u.number
            WHERE u.url = ? AND u.scope = '' AND c.identity = ? AND c.page_url = ?
                AND c.cause IS NULL
        """
        for claim in self._claims_on(self._claimants(page)):
            key = (claim.url, claim.identity, claim.page_url)
            for (number,) in self._connection.execute(query, key):
                yield cause, number, claim.identity

    def _put(self, claims: Sequence[Claim], list_number: int) -> list[tuple[int, str]]:
        """Write claims; return those that are new, on pages that were read before."""
        run = self._connection.execute
        run("DELETE FROM incoming")
        execute_rows(self._connection, _PUT_INCOMING, map(self._row, claims))
        for statement in (_PUT_HOSTS, _PUT_URLS, _FIND_URLS, _WAKE_URLS):
            run(statement)
        run(_PUT_CLAIMS, (list_number, False))
        returning = f"{_PUT_CLAIMS} RETURNING url, identity, cause"
        changed = run(returning, (list_number, True)).fetchall()
        if list_number > 1:
            run(_STILL_LISTED, (list_number,))
        known = "SELECT 1 FROM pages WHERE url = ?"
        return [
            (number, identity)
            for number, identity, cause in changed
            if cause is None and run(known, (number,)).fetchone()
        ]

    def _row(self, claim: Claim) -> tuple[object, ...]:
        cause = self._rules.refusal(claim)
        return storable(
            (
                None,
                host_of(claim.url),
                claim.url,
                claim.site if claim.is_page else "",
                claim.is_page,
                claim.identity,
                claim.site,
                claim.page_url,
                claim.page_number,
                *rights_columns(claim.rights),
                cause,
            )
        )

    def _claims_on(self, pages: Iterable[tuple[int, str]]) -> Iterator[Claim]:
        query = """
            SELECT u.url, p.content, c.identity, c.site, c.page_number FROM claims AS c
            JOIN urls AS u ON u.number = c.url JOIN pages AS p ON p.url = c.url
            WHERE c.url = ? AND c.identity = ?
        """
        for key in pages:
            for url, text, identity, site, page_number in self._connection.execute(query, key):
                page = _ReadPage(
                    url=url,
                    content=content_of(text),
                    identity=identity,
                    site=site,
                    page_number=page_number,
                )
                yield from _claims_of(page)


def host_of(url: str) -> str:
    """Return a URL's host in small letters, with its port when it has one; empty without one."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def _claims_of(page: _ReadPage) -> Iterator[Claim]:
    """Yield the claims on a page's images in page order, then those on the pages after it."""
    for image in page.content.images:
        yield Claim(
            identity=page.identity,
            site=page.site,
            url=image.url,
            page_url=image.page_url or page.url,
            rights=image.rights,
        )
    for url in page.content.next_urls:
        yield Claim(
            identity=page.identity,
            site=page.site,
            url=url,
            page_url=page.url,
            page_number=page.page_number + 1,
        )


def _claim(columns: Sequence[object]) -> Claim:
    """Return the claim of the columns in ``_CLAIM_COLUMNS``."""
    url, identity, site, page_url, page_number, *rights = columns
    return Claim(
        identity=str(identity),
        site=str(site),
        url=str(url),
        page_url=None if page_url is None else str(page_url),
        page_number=int(str(page_number)),
        rights=rights_of(rights),
    )
