"""The crawl ledger's tables, and how their file is opened.

``urls`` are asked for once each, whoever claims them: a page once per site, because it is read
with the site's selectors, an image once. ``outcome`` is ``pending``, ``done``, a ``Cause``, or
``unwanted`` while all claims on it are refused; ``answer`` is the answer that counts. ``claims``
that were refused before asking, were taken off their list, or whose page has opted out, have a
``cause`` of their own.
``answers`` is only ever appended to. ``tallies`` are kept by triggers, so that counting never
reads all claims.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facedata.errors import IntegrityError, SourceError, StorageError

LEDGER_NAME = "ledger.sqlite"
SCHEMA_VERSION = 2
PENDING, DONE, UNWANTED = "pending", "done", "unwanted"
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY_S = 60.0

_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE hosts (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE readers (
    number INTEGER PRIMARY KEY, spider TEXT NOT NULL, version TEXT NOT NULL,
    UNIQUE (spider, version)
);
CREATE TABLE urls (
    number INTEGER PRIMARY KEY,
    url TEXT NOT NULL,
    scope TEXT NOT NULL,  -- a page's site; empty for an image
    is_page INTEGER NOT NULL,
    host INTEGER NOT NULL REFERENCES hosts,
    outcome TEXT NOT NULL,
    answer INTEGER REFERENCES answers,
    size_bytes INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0,  -- seconds since 1970
    postponed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (url, scope)
);
CREATE INDEX pending_urls ON urls (host, is_page, number) WHERE outcome = 'pending';
CREATE TABLE claims (
    url INTEGER NOT NULL REFERENCES urls,
    identity TEXT NOT NULL,
    site TEXT NOT NULL,
    page_url TEXT,
    page_number INTEGER NOT NULL,
    licence TEXT, licence_url TEXT, author TEXT, attribution TEXT,
    list_number INTEGER NOT NULL,  -- the latest list with it; 0 when a page led to it
    cause TEXT,
    PRIMARY KEY (url, identity)
) WITHOUT ROWID;
CREATE TABLE answers (
    number INTEGER PRIMARY KEY,
    url INTEGER NOT NULL REFERENCES urls,
    reader INTEGER NOT NULL REFERENCES readers,
    fetched_at TEXT NOT NULL,
    cause TEXT, detail TEXT, final_url TEXT,
    http_status INTEGER, content_type TEXT, etag TEXT, last_modified TEXT,
    robots TEXT,
    is_unchanged INTEGER NOT NULL,
    sha256 BLOB, size_bytes INTEGER
);
CREATE TABLE pages (url INTEGER PRIMARY KEY REFERENCES urls, content TEXT NOT NULL);
CREATE TABLE shards (
    number INTEGER PRIMARY KEY, length INTEGER NOT NULL, is_closed INTEGER NOT NULL
);
CREATE TABLE raw (
    sha256 BLOB PRIMARY KEY,
    shard INTEGER NOT NULL REFERENCES shards,
    offset INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    media_type TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tallies (
    host INTEGER NOT NULL REFERENCES hosts,
    is_page INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    claims INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (host, is_page, outcome)
) WITHOUT ROWID;
"""

_ADD_CLAIM = """
    INSERT INTO tallies
    SELECT host, is_page, coalesce(NEW.cause, outcome), 1, iif(NEW.cause IS NULL, size_bytes, 0)
    FROM urls WHERE number = NEW.url
    ON CONFLICT DO UPDATE SET
        claims = claims + 1, size_bytes = tallies.size_bytes + excluded.size_bytes;
"""
_TRIGGERS = f"""
CREATE TRIGGER claim_made AFTER INSERT ON claims BEGIN {_ADD_CLAIM} END;
CREATE TRIGGER claim_judged AFTER UPDATE OF cause ON claims WHEN OLD.cause IS NOT NEW.cause BEGIN
    UPDATE tallies SET
        claims = claims - 1,
        size_bytes = tallies.size_bytes - iif(OLD.cause IS NULL, u.size_bytes, 0)
    FROM (SELECT host, is_page, outcome, size_bytes FROM urls WHERE number = NEW.url) AS u
    WHERE tallies.host = u.host AND tallies.is_page = u.is_page
        AND tallies.outcome = coalesce(OLD.cause, u.outcome);
    {_ADD_CLAIM}
END;
CREATE TRIGGER url_settled AFTER UPDATE OF outcome, size_bytes ON urls
WHEN OLD.outcome <> NEW.outcome OR OLD.size_bytes <> NEW.size_bytes BEGIN
    INSERT INTO tallies
    SELECT NEW.host, NEW.is_page, NEW.outcome, count(*), count(*) * NEW.size_bytes
    FROM claims WHERE url = NEW.number AND cause IS NULL
    ON CONFLICT DO UPDATE SET
        claims = claims + excluded.claims, size_bytes = size_bytes + excluded.size_bytes;
    UPDATE tallies SET
        claims = claims - c.number, size_bytes = size_bytes - c.number * OLD.size_bytes
    FROM (SELECT count(*) AS number FROM claims WHERE url = NEW.number AND cause IS NULL) AS c
    WHERE host = OLD.host AND is_page = OLD.is_page AND outcome = OLD.outcome;
END;
"""

HAS_BODY = """a.cause IS NULL AND iif(u.is_page,
    EXISTS (SELECT 1 FROM pages WHERE pages.url = u.number),
    EXISTS (SELECT 1 FROM raw WHERE raw.sha256 = a.sha256))"""
"""Whether the answer ``a`` of the URL ``u`` is a success whose bytes, or links, are still there."""
IS_CLAIMED = "EXISTS (SELECT 1 FROM claims WHERE claims.url = urls.number AND claims.cause IS NULL)"
"""Whether somebody may have a row of ``urls``."""


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the ledger to write, and make its tables when it is new.

    Raises:
        IntegrityError: when it is damaged, or of another version.
        StorageError: when the disk is full or cannot be written.
    """
    with translated(path):
        connection = sqlite3.connect(
            path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA cache_size = -32768")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        connection.execute(f"PRAGMA journal_size_limit = {64 << 20}")
        if _version(connection) == 0:
            connection.executescript(
                f"BEGIN IMMEDIATE; {_TABLES} {_TRIGGERS} PRAGMA user_version = {SCHEMA_VERSION};"
                "COMMIT;"
            )
        _check_version(connection, path)
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open the ledger to read, also while it is written, and from a disk that is read-only.

    Raises:
        SourceError: when there is none.
        IntegrityError: when it is damaged, or of another version.
        StorageError: when it cannot be read.
    """
    if not path.exists():
        raise SourceError(f"{path.parent} holds no crawl (no {path.name}); crawl first")
    address = f"{path.absolute().as_uri()}?mode=ro"
    with translated(path):
        try:
            return _open_reader(address, path)
        except sqlite3.OperationalError:
            if _has_unsaved(path):
                raise
        # A folder where SQLite cannot put the index of its log; the log is empty.
        return _open_reader(f"{address}&immutable=1", path)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors, and those of files beside the ledger, into the project's.

    Raises:
        IntegrityError: when the ledger at ``path`` is damaged.
        StorageError: when a file cannot be read or written.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in _DAMAGED:
            raise IntegrityError(
                f"crawl ledger {path}: damaged ({error}); restore the file, or start the crawl in "
                "a new folder"
            ) from error
        raise StorageError(
            f"crawl ledger {path}: cannot be used ({error}); make room on its disk, see that it "
            "may be written to, and run again"
        ) from error
    except OSError as error:
        raise StorageError(
            f"crawl output {error.filename or path.parent} cannot be used ({error.strerror}); make "
            "room on its disk, see that it may be written to, and run again"
        ) from error


def _open_reader(address: str, path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        address, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, uri=True
    )
    try:
        connection.execute("PRAGMA cache_size = -8192")
        _check_version(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _has_unsaved(path: Path) -> bool:
    """Whether a log beside the ledger holds what the ledger itself does not."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    if version != SCHEMA_VERSION:
        raise IntegrityError(
            f"crawl ledger {path}: has version {version}, expected {SCHEMA_VERSION}; use the "
            "release that wrote it, or start the crawl in a new folder"
        )
