"""What the crawler's child process is told, and what its output folder was made for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from crawlers.ledger.rows import Claim
from crawlers.process.partitions import Partition
from crawlers.sites import Sites
from facedata.errors import IntegrityError, SourceError

JOB_NAME = "job.json"
STARTS_NAME = "starts.jsonl"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ListFacts(_Model):
    """The list of people that a crawl is for, and who answers for it; ``sha256`` of its file."""

    path: str
    sha256: str
    people: int
    author: str | None = None
    purpose: str | None = None
    duplicates: dict[str, str] = {}
    """Id that stood for a person listed before → the id the person is listed under."""


class JobFile(_Model):
    """A checked job for one partition of a crawl.

    ``identities`` are the listed ones of this partition, sorted; null when whoever the URL list
    names may be crawled. Start pages are in a file beside the job, a URL list stays where it is.
    """

    source: str
    number: int = 1
    total: int = 1
    people: ListFacts
    identities: tuple[str, ...] | None
    sites: Sites
    url_list: str | None = None
    url_list_sha256: str | None = None
    licences: tuple[str, ...] = ()
    retry_failed: bool = False
    refresh_before: datetime | None = None

    @property
    def partition(self) -> Partition:
        """Which part of the crawl this is."""
        return Partition(number=self.number, total=self.total)

    def write(self, folder: Path, starts: Iterable[Claim]) -> Path:
        """Write the job and its start pages into the partition's folder, and return its path.

        Raises:
            OSError: when the folder cannot be written to.
        """
        lines = (json.dumps([one.identity, one.site, one.url]) for one in starts)
        _write(folder / STARTS_NAME, (f"{line}\n" for line in lines))
        return _write(folder / JOB_NAME, [self.model_dump_json(indent=1)])


def read_job(path: Path) -> JobFile:
    """Read a job file.

    Raises:
        SourceError: when there is none.
        IntegrityError: when it is not one.
    """
    try:
        return JobFile.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise SourceError(f"{path.parent} holds no crawl (no {path.name}); crawl first") from error
    except ValidationError as error:
        raise IntegrityError(
            f"{path}: not a crawl job of this version; run the crawl again to write it anew"
        ) from error


def read_starts(job_path: Path) -> Iterator[Claim]:
    """Yield the claims on start pages that were written beside a job.

    Raises:
        OSError: when they cannot be read.
    """
    with job_path.with_name(STARTS_NAME).open(encoding="utf-8") as lines:
        for line in lines:
            identity, site, url = json.loads(line)
            yield Claim(identity=identity, site=site, url=url, page_number=1)


def _write(path: Path, parts: Iterable[str]) -> Path:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8") as stream:
        stream.writelines(parts)
    partial.replace(path)
    return path
