"""How far a crawl is: what the child process reports and the caller shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlCounts:
    """Counts over the whole job, earlier runs of it included.

    ``requested`` counts images, one per identity and URL; once a crawl is complete it is
    ``stored`` plus everything in ``failed`` (by cause). ``pages`` and ``pages_failed`` count
    listing pages the same way. ``fetched`` alone is of this run: URLs that the network was asked
    for, redirects, retries and robots.txt not counted.
    """

    requested: int = 0
    stored: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    pages: int = 0
    pages_failed: Mapping[str, int] = field(default_factory=dict)
    fetched: int = 0

    @property
    def pending(self) -> int:
        """Images asked for of which nothing is known yet."""
        return self.requested - self.stored - sum(self.failed.values())

    def to_json(self) -> str:
        """Return the counts as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Return the counts that :meth:`to_json` wrote.

        Raises:
            ValueError, TypeError: when the line is something else.
        """
        return cls(**json.loads(line))
