"""How far a crawl is: what the child processes report and the caller shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
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

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """Return the counts of several partitions together."""
        known = list(parts)
        return cls(
            requested=sum(part.requested for part in known),
            stored=sum(part.stored for part in known),
            failed=_summed(part.failed for part in known),
            size_bytes=sum(part.size_bytes for part in known),
            pages=sum(part.pages for part in known),
            pages_failed=_summed(part.pages_failed for part in known),
            fetched=sum(part.fetched for part in known),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCounts:
    """What came of one host (name and port): pages and images that succeeded, failures by cause.

    As in :class:`CrawlCounts`, a URL counts for each person it is of, earlier runs included.
    """

    host: str
    pages: int = 0
    images: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    pending: int = 0

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """Return the counts of one host in several partitions together."""
        known = list(parts)
        return cls(
            host=known[0].host,
            pages=sum(part.pages for part in known),
            images=sum(part.images for part in known),
            failed=_summed(part.failed for part in known),
            size_bytes=sum(part.size_bytes for part in known),
            pending=sum(part.pending for part in known),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlProgress:
    """One report of a running crawl.

    ``hosts`` are the busiest ones. ``urls_per_s`` and ``bytes_per_s`` are of the last seconds;
    ``eta_s`` is how long what is known to be pending takes at that rate, null while nothing moves.
    """

    counts: CrawlCounts
    hosts: tuple[HostCounts, ...] = ()
    pending: int = 0
    urls_per_s: float = 0.0
    bytes_per_s: float = 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds until nothing is pending, as far as is known now."""
        return self.pending / self.urls_per_s if self.urls_per_s > 0 else None

    def to_json(self) -> str:
        """Return the report as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Return the report that :meth:`to_json` wrote.

        Raises:
            ValueError, TypeError: when the line is something else.
        """
        facts = json.loads(line)
        counts = CrawlCounts(**facts.pop("counts"))
        hosts = tuple(HostCounts(**host) for host in facts.pop("hosts"))
        return cls(counts=counts, hosts=hosts, **facts)

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """Return the report of several partitions together, its hosts by falling number of URLs."""
        known = list(parts)
        by_host: dict[str, list[HostCounts]] = {}
        for host in (host for part in known for host in part.hosts):
            by_host.setdefault(host.host, []).append(host)
        hosts = [HostCounts.total(same) for same in by_host.values()]
        return cls(
            counts=CrawlCounts.total(part.counts for part in known),
            hosts=tuple(sorted(hosts, key=lambda h: (-h.images - h.pages, h.host))),
            pending=sum(part.pending for part in known),
            urls_per_s=sum(part.urls_per_s for part in known),
            bytes_per_s=sum(part.bytes_per_s for part in known),
        )


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))
