"""Which claims may be asked for at all: decided by the job alone, before anybody is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from crawlers.causes import Cause
from crawlers.job_file import JobFile
from crawlers.ledger.rows import Claim, CrawlRules
from crawlers.network.target import Refusal, parse_target
from crawlers.spiders.licences import is_allowed

_URL_CHARACTERS = 8_000


def crawl_rules(job: JobFile, spider_version: str) -> CrawlRules:
    """Return the rules that a job's ledger judges claims by."""
    decisive = job.model_dump_json(include={"identities", "sites", "licences", "partition"})
    return CrawlRules(
        refusal=_refusal(job),
        digest=hashlib.sha256(decisive.encode("utf-8", "surrogatepass")).hexdigest(),
        spiders={site.name: site.spider for site in job.sites.sites},
        spider_version=spider_version,
    )


def _refusal(job: JobFile) -> Callable[[Claim], Cause | None]:
    listed = None if job.identities is None else frozenset(job.identities)
    sites = {site.name: site for site in job.sites.sites}
    licences = job.licences

    def refusal(claim: Claim) -> Cause | None:
        if listed is not None and claim.identity not in listed:
            return Cause.NOT_LISTED
        if (site := sites.get(claim.site)) is None:
            return Cause.OFF_SITE
        target = parse_target(claim.url)
        if isinstance(target, Refusal):
            return target.cause
        if len(claim.url) > _URL_CHARACTERS:
            return Cause.BAD_URL
        if not site.allows_host(target.authority.host, target.authority.port):
            return Cause.OFF_SITE
        if claim.is_page:
            return Cause.PAGE_LIMIT if claim.page_number > site.max_pages else None
        return None if is_allowed(claim.rights.licence, licences) else Cause.LICENCE_REFUSED

    return refusal
