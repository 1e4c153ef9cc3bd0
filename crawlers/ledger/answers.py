"""Recording answers: every one is kept, and the URL's own state follows from it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from crawlers.causes import Cause
from crawlers.ledger.many_rows import execute_rows, stored_digests
from crawlers.ledger.rows import CrawlRules, Outcome, Result
from crawlers.ledger.schema import DONE, HAS_BODY, PENDING
from crawlers.ledger.text import storable
from crawlers.spiders.page_content import PageContent
from facedata.errors import IntegrityError

_PASSING = frozenset(
    {
        Cause.HOST_DOWN,
        Cause.UNKNOWN_HOST,
        Cause.CONNECTION_FAILED,
        Cause.TIMEOUT,
        Cause.UNEXPECTED,
        Cause.RATE_LIMITED,
        Cause.HTTP_ERROR,
        Cause.TRUNCATED,
    }
)
"""Causes that say nothing about the image itself: what was stored before stands."""

_PUT_ANSWERS = "INSERT INTO answers {rows}"
_SETTLE = """
UPDATE urls SET outcome = v.column1, answer = v.column2, size_bytes = v.column3, postponed = 0
FROM ({rows}) AS v WHERE number = v.column4
"""
_POSTPONE = f"""
UPDATE urls SET outcome = '{PENDING}', not_before = ?, postponed = postponed + 1 WHERE number = ?
"""
_STANDING = f"""
SELECT a.number, a.content_type, a.etag, a.last_modified, a.sha256, a.size_bytes
FROM urls AS u JOIN answers AS a ON a.number = u.answer WHERE u.number = ? AND {HAS_BODY}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """The answer whose bytes, or links, stand for a URL until a better one comes."""

    number: int
    content_type: str | None
    etag: str | None
    last_modified: str | None
    sha256: bytes | None
    size_bytes: int | None


class AnswerBook:
    """Writes answers with the ledger's connection; the caller begins and ends transactions."""

    def __init__(self, connection: sqlite3.Connection, rules: CrawlRules) -> None:
        self._connection = connection
        self._readers = {
            site: _reader_number(connection, spider, rules.spider_version)
            for site, spider in rules.spiders.items()
        }

    def record(self, results: Sequence[Result]) -> list[tuple[int, PageContent]]:
        """Write what came of URLs; return what pages hold now, by the number of their URL.

        A page that cannot be used has a content with the cause.

        Raises:
            IntegrityError: when the bytes of a stored image are not in the ledger.
        """
        self._check_stored([result.outcome for result in results if not result.pending.is_page])
        (last,) = self._connection.execute("SELECT max(number) FROM answers").fetchone()
        answers: list[tuple[object, ...]] = []
        settled: list[tuple[object, ...]] = []
        postponed: list[tuple[object, ...]] = []
        pages: list[tuple[int, PageContent]] = []
        for answer, result in enumerate(results, (last or 0) + 1):
            url, content = result.pending.number, result.content or PageContent()
            outcome, standing = self._judged(result)
            answers.append(self._row(answer, result, outcome))
            if outcome.cause is None and content.retry_after_s is not None:
                postponed.append((time.time() + content.retry_after_s, url))
            elif standing is not None:
                settled.append((DONE, standing.number, standing.size_bytes or 0, url))
            else:
                settled.append((outcome.cause or DONE, answer, outcome.size_bytes or 0, url))
                if result.pending.is_page and not outcome.is_unchanged:
                    pages.append((url, replace(content, cause=outcome.cause)))
        execute_rows(self._connection, _PUT_ANSWERS, answers)
        execute_rows(self._connection, _SETTLE, settled)
        self._connection.executemany(_POSTPONE, postponed)
        return pages

    def _judged(self, result: Result) -> tuple[Outcome, _Standing | None]:
        """Return the outcome to be kept, and the earlier answer when that is to stand."""
        outcome, content = result.outcome, result.content
        if outcome.cause is None and content is not None and content.cause is not None:
            outcome = replace(outcome, cause=content.cause, detail=content.detail)
        if outcome.cause in _PASSING:
            return outcome, self._standing(result.pending.number)
        if outcome.cause is None and outcome.is_unchanged:
            return _unchanged(outcome, self._standing(result.pending.number)), None
        return outcome, None

    def _check_stored(self, outcomes: Iterable[Outcome]) -> None:
        needed = {
            bytes.fromhex(one.sha256 or ""): one
            for one in outcomes
            if one.cause is None and not one.is_unchanged
        }
        for missing in needed.keys() - stored_digests(self._connection, needed):
            outcome = needed[missing]
            raise IntegrityError(
                f"image {outcome.url}: its bytes ({outcome.sha256}) were not stored before it was "
                "recorded; please report it"
            )

    def _standing(self, number: int) -> _Standing | None:
        row = self._connection.execute(_STANDING, (number,)).fetchone()
        if row is None:
            return None
        answer, content_type, etag, last_modified, sha256, size_bytes = row
        return _Standing(
            number=answer,
            content_type=content_type,
            etag=etag,
            last_modified=last_modified,
            sha256=sha256,
            size_bytes=size_bytes,
        )

    def _row(self, number: int, result: Result, outcome: Outcome) -> tuple[object, ...]:
        return storable(
            (
                number,
                result.pending.number,
                self._readers[result.pending.site],
                outcome.fetched_at,
                outcome.cause,
                outcome.detail,
                outcome.final_url,
                outcome.http_status,
                outcome.content_type,
                outcome.etag,
                outcome.last_modified,
                outcome.robots,
                outcome.is_unchanged,
                None if outcome.sha256 is None else bytes.fromhex(outcome.sha256),
                outcome.size_bytes,
            )
        )


def _reader_number(connection: sqlite3.Connection, spider: str, version: str) -> int:
    put = "INSERT INTO readers (spider, version) VALUES (?, ?) ON CONFLICT DO NOTHING"
    connection.execute(put, (spider, version))
    find = "SELECT number FROM readers WHERE spider = ? AND version = ?"
    (number,) = connection.execute(find, (spider, version)).fetchone()
    return int(number)


def _unchanged(outcome: Outcome, standing: _Standing | None) -> Outcome:
    """Return the outcome of a server that said that nothing changed; it names the same bytes."""
    if standing is None:
        problem = "the server says unchanged, but nothing was stored"
        return replace(outcome, cause=Cause.HTTP_ERROR, detail=problem, is_unchanged=False)
    return replace(
        outcome,
        content_type=outcome.content_type or standing.content_type,
        etag=outcome.etag or standing.etag,
        last_modified=outcome.last_modified or standing.last_modified,
        sha256=None if standing.sha256 is None else standing.sha256.hex(),
        size_bytes=standing.size_bytes,
    )
