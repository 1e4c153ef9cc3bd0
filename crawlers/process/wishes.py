"""What a job wishes for: the start pages of its people, or the addresses of a list."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from crawlers.job_file import STARTS_NAME, JobFile, read_starts
from crawlers.ledger.rows import Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The claims of one partition's job; ``path`` is that of the job file."""

    job: JobFile
    path: Path

    def claims(self) -> Iterator[Claim]:
        """Yield the claims in the order of their file.

        Raises:
            SourceError: when the URL list cannot be read, or a row of it is wrong.
            OSError: when the start pages cannot be read.
        """
        if self.job.url_list is None:
            yield from read_starts(self.path)
            return
        # Only lists need what Parquet needs, which takes a while to load.
        from crawlers.spiders.url_list import read_url_list

        site = self.job.sites.sites[0].name
        for claim in read_url_list(Path(self.job.url_list), site):
            kept_as = self.job.people.duplicates.get(claim.identity, claim.identity)
            if self.job.partition.holds(kept_as):
                yield replace(claim, identity=kept_as)

    def digest(self) -> str:
        """Return the sha256 in hex of all that :meth:`claims` depends on.

        Raises:
            OSError: when the start pages cannot be read.
        """
        facts = {
            "file": self.job.url_list_sha256 or self._starts_digest(),
            "duplicates": self.job.people.duplicates,
            "partition": self.job.partition.folder,
            "version": importlib.metadata.version("winnow-faces"),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _starts_digest(self) -> str:
        with self.path.with_name(STARTS_NAME).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
