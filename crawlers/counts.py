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
    ``stored`` plus everything in ``failed`` (by cause). ``pages``, ``pages_failed`` and
    ``pages_pending`` count listing pages the same way. ``fetched`` alone is of this run: URLs
    that the network was asked for, redirects, retries and robots.txt not counted.
    """

    requested: int = 0
    stored: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    pages: int = 0
    pages_failed: Mapping[str, int] = field(default_factory=dict)
    pages_pending: int = 0
    fetched: int = 0

    @property
    def pending(self) -> int:
        """Images asked for of which nothing is known yet."""
        return self.requested - self.stored - sum(self.failed.values())

    @property
    def waiting(self) -> int:
        """Images and pages of which nothing is known yet; what these pages link is not known."""
        return self.pending + self.pages_pending

    @property
    def urls(self) -> int:
        """Images and pages together, whatever came of them."""
        return self.requested + self.pages + sum(self.pages_failed.values()) + self.pages_pending

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
            pages_pending=sum(part.pages_pending for part in known),
            fetched=sum(part.fetched for part in known),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlProgress:
    """One report of a running crawl.

    ``hosts`` are the counts of the largest hosts (name and port), by falling number of URLs.
    ``urls_per_s`` and ``bytes_per_s`` are of the last seconds. ``out_s`` says for how many seconds
    the network has been out; 0 while it is there.
    """

    counts: CrawlCounts
    hosts: Mapping[str, CrawlCounts] = field(default_factory=dict)
    urls_per_s: float = 0.0
    bytes_per_s: float = 0.0
    out_s: float = 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds until nothing is pending, as far as is known now; null while nothing moves."""
        return self.counts.waiting / self.urls_per_s if self.urls_per_s > 0 else None

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
        hosts = {name: CrawlCounts(**host) for name, host in facts.pop("hosts").items()}
        return cls(counts=counts, hosts=hosts, **facts)

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """Return the report of several partitions together."""
        known = list(parts)
        return cls(
            counts=CrawlCounts.total(part.counts for part in known),
            hosts=total_by_host(part.hosts for part in known),
            urls_per_s=sum(part.urls_per_s for part in known),
            bytes_per_s=sum(part.bytes_per_s for part in known),
            out_s=max((part.out_s for part in known), default=0.0),
        )


def total_by_host(parts: Iterable[Mapping[str, CrawlCounts]]) -> dict[str, CrawlCounts]:
    """Return the counts by host of several partitions together, the largest host first."""
    by_host: dict[str, list[CrawlCounts]] = {}
    for part in parts:
        for host, counts in part.items():
            by_host.setdefault(host, []).append(counts)
    return largest_first({host: CrawlCounts.total(same) for host, same in by_host.items()})


def largest_first(
    hosts: Mapping[str, CrawlCounts], most: int | None = None
) -> dict[str, CrawlCounts]:
    """Return the hosts by falling number of URLs, at most so many of them."""
    ordered = sorted(hosts.items(), key=lambda host: (-host[1].urls, host[0]))
    return dict(ordered[:most])


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))
