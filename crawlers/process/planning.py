"""From a recipe's source to the jobs of its partitions: checked whole before anything starts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crawlers.identities.person import IdentityList
from crawlers.identities.read_list import read_list
from crawlers.job_file import JobFile, ListFacts
from crawlers.ledger.rows import Claim
from crawlers.people import rows_of, start_url
from crawlers.process.partitions import Partition
from crawlers.sites import Sites, load_sites
from crawlers.spiders.url_list_site import UrlListSite
from facedata.errors import SourceError
from facedata.sources import CrawlSource, UrlsSource

URL_LIST_SITE = "urls"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlPlan:
    """A checked crawl: for whom, on which sites, in how many parts.

    ``listed`` is null when whoever a URL list names may be crawled.
    """

    source: CrawlSource | UrlsSource
    people: ListFacts
    listed: IdentityList | None
    sites: Sites
    url_list_sha256: str | None = None

    def starts(self, partition: Partition) -> Iterator[Claim]:
        """Yield the start pages of the partition's people.

        Raises:
            SourceError: when a start URL needs a column that the list does not have.
        """
        if self.listed is None or not isinstance(self.source, CrawlSource):
            return
        where = Path(self.source.identities)
        people = [person for person in rows_of(self.listed) if partition.holds(person.identity)]
        for site in self.sites.sites:
            if isinstance(site, UrlListSite):
                continue
            for person in people:
                if (url := start_url(site, person, where)) is not None:
                    yield Claim(identity=person.identity, site=site.name, url=url, page_number=1)

    def identities(self, partition: Partition) -> tuple[str, ...] | None:
        """The listed people of a partition, sorted; null when anybody may be crawled."""
        if self.listed is None:
            return None
        names = (person.identity for person in self.listed.people)
        return tuple(sorted(name for name in names if partition.holds(name)))


def plan_crawl(source: CrawlSource | UrlsSource) -> CrawlPlan:
    """Read and check what a source names; its paths are absolute.

    Raises:
        SourceError: when a list or the sites file is not usable, or nobody says who made the list
            and what for.
        RequestError: when the key of an interface is not in the environment.
    """
    if isinstance(source, CrawlSource):
        listed = _read_list(source, source.identities)
        sites = load_sites(Path(source.sites), source.spider)
        for site in sites.sites:
            if not isinstance(site, UrlListSite):
                start_url(site, rows_of(listed)[0], Path(source.identities))
        for key in sites.api_keys:
            key.value(os.environ)  # What is missing is said before anybody is asked.
        return CrawlPlan(source=source, people=_facts(listed), listed=listed, sites=sites)
    known = None if source.identities is None else _read_list(source, source.identities)
    if known is None:
        _check_recorded(source)
    sha256 = _sha256_of_list(source.path)
    return CrawlPlan(
        source=source,
        people=_file_facts(source, sha256) if known is None else _facts(known),
        listed=known,
        sites=_site_of_list(source),
        url_list_sha256=sha256,
    )


def make_job(
    plan: CrawlPlan, name: str, partition: Partition, licences: tuple[str, ...]
) -> JobFile:
    """Return the job of one partition of the source called ``name``."""
    source = plan.source
    days = source.refresh_days
    return JobFile(
        source=name,
        number=partition.number,
        total=partition.total,
        people=plan.people,
        identities=plan.identities(partition),
        sites=plan.sites,
        url_list=source.path if isinstance(source, UrlsSource) else None,
        url_list_sha256=plan.url_list_sha256,
        licences=licences,
        retry_failed=source.retry_failed,
        refresh_before=None if days is None else datetime.now(UTC) - timedelta(days=days),
    )


def _read_list(source: CrawlSource | UrlsSource, path: str) -> IdentityList:
    listed = read_list(Path(path), author=source.author, purpose=source.purpose)
    listed.check_recorded()
    return listed


def _facts(listed: IdentityList) -> ListFacts:
    return ListFacts(
        path=listed.path,
        sha256=listed.sha256,
        people=len(listed.people),
        author=listed.author,
        purpose=listed.purpose,
        duplicates={one.removed: one.kept for one in listed.duplicates},
    )


def _check_recorded(source: UrlsSource) -> None:
    """Without an identity list the URL list says who is looked for; somebody must answer for it."""
    missing = [key for key in ("author", "purpose") if getattr(source, key) is None]
    if missing:
        raise SourceError(
            f"URL list {source.path} says who is crawled, and the recipe names no "
            f"{' and no '.join(missing)}; write {' and '.join(missing)} beside path, or name an "
            "identity list in identities"
        )


def _sha256_of_list(path: str) -> str:
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(
            f"URL list {path} cannot be read ({error.strerror}); check the path"
        ) from error


def _file_facts(source: UrlsSource, sha256: str) -> ListFacts:
    """A URL list without an identity list is its own list of people; how many is not known yet."""
    return ListFacts(
        path=source.path,
        sha256=sha256,
        people=0,
        author=source.author,
        purpose=source.purpose,
    )


def _site_of_list(source: UrlsSource) -> Sites:
    site = UrlListSite(
        name=URL_LIST_SITE,
        private_hosts=source.allow_private,
        delay_s=source.delay_s,
        concurrency=source.concurrency,
        timeout_s=source.timeout_s,
        retries=source.retries,
        max_redirects=source.max_redirects,
        max_image_bytes=source.max_image_bytes,
    )
    return Sites(contact=source.contact, user_agent=source.user_agent, sites=(site,))
