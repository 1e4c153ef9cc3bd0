"""Which claims may be asked for: decided by people, sites and licences before anybody is asked."""

from __future__ import annotations

from crawlers.causes import Cause
from crawlers.job_file import JobFile, ListFacts
from crawlers.ledger.rows import Claim
from crawlers.process.rules import crawl_rules
from crawlers.sites import Sites
from crawlers.spiders.page_content import Rights

SITE = {
    "name": "web",
    "start_url": "https://example.org/{slug}",
    "allowed_hosts": ["example.org"],
    "images": {"css": "img"},
    "max_pages": 3,
}
SITES = Sites.model_validate({"contact": "a@example.org", "sites": [SITE]})
PEOPLE = ListFacts(path="people.csv", sha256="00", people=1)


def job(**keys) -> JobFile:
    facts = {"source": "web", "people": PEOPLE, "identities": ("Ada",), "sites": SITES}
    return JobFile(**facts | keys)


def refusal(claim: dict[str, object], **keys) -> Cause | None:
    wished = {"identity": "Ada", "site": "web", "url": "https://example.org/x"} | claim
    return crawl_rules(job(**keys), "1").refusal(Claim(**wished))


def test_each_reason_has_its_cause() -> None:
    assert refusal({}) is None
    assert refusal({"identity": "Bo"}) is Cause.NOT_LISTED
    assert refusal({"identity": "Bo"}, identities=None) is None
    assert refusal({"site": "gone"}) is Cause.OFF_SITE
    assert refusal({"url": "https://other.org/x"}) is Cause.OFF_SITE
    assert refusal({"url": "ftp://example.org/x"}) is Cause.UNSUPPORTED_SCHEME
    assert refusal({"url": "//[x"}) is Cause.BAD_URL
    assert refusal({"url": "https://example.org/" + "x" * 9_000}) is Cause.BAD_URL
    assert refusal({"page_number": 3}) is None
    assert refusal({"page_number": 4}) is Cause.PAGE_LIMIT


def test_licences_hold_for_images_and_not_for_pages() -> None:
    free, unknown = Rights(licence="cc-by-4.0"), Rights()
    allowed = {"licences": ("cc-by", "cc0")}
    assert refusal({"rights": free}, **allowed) is None
    assert refusal({"rights": unknown}, **allowed) is Cause.LICENCE_REFUSED
    assert refusal({"rights": Rights(licence="all-rights-reserved")}, **allowed) is (
        Cause.LICENCE_REFUSED
    )
    assert refusal({"rights": unknown, "page_number": 1}, **allowed) is None
    assert refusal({"rights": unknown}) is None


def test_claims_are_judged_again_when_anything_that_decides_changed() -> None:
    digests = {
        crawl_rules(one, "1").digest
        for one in (
            job(),
            job(identities=("Ada", "Bo")),
            job(licences=("cc0",)),
            job(sites=SITES.model_copy(update={"sites": ()})),
        )
    }
    assert len(digests) == 4
    assert crawl_rules(job(), "1").digest == crawl_rules(job(retry_failed=True), "2").digest
