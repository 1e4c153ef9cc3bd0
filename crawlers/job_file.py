"""What the crawler's child process is told, and what its output folder was made for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from crawlers.people import ListedPerson, start_url
from crawlers.sites import Sites
from facedata.errors import IntegrityError, SourceError

JOB_NAME = "job.json"
LEDGER_NAME = "ledger.jsonl"
LOG_NAME = "crawl.log"


class StartPage(BaseModel):
    """The first page of an identity on a site."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity: str
    site: str
    url: str


class JobFile(BaseModel):
    """A checked crawl job; ``identities`` are all the listed ones, sorted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identities: tuple[str, ...]
    sites: Sites
    starts: tuple[StartPage, ...]
    retry_failed: bool = False

    def write(self, out: Path) -> Path:
        """Write the job into the output folder, whole or not at all, and return its path.

        Raises:
            OSError: when the folder cannot be written to.
        """
        path = out / JOB_NAME
        partial = out / f".{JOB_NAME}.{os.getpid()}"
        partial.write_text(self.model_dump_json(indent=1), "utf-8")
        partial.replace(path)
        return path


def plan_job(
    people: Sequence[ListedPerson], sites: Sites, people_path: Path, *, retry_failed: bool
) -> JobFile:
    """Return the job for these people on these sites; ``people_path`` is named in errors.

    Raises:
        SourceError: when a start URL needs a column that the list does not have.
    """
    starts = [
        StartPage(identity=person.identity, site=site.name, url=url)
        for site in sites.sites
        for person in people
        if (url := start_url(site, person, people_path)) is not None
    ]
    return JobFile(
        identities=tuple(sorted({person.identity for person in people})),
        sites=sites,
        starts=tuple(starts),
        retry_failed=retry_failed,
    )


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
