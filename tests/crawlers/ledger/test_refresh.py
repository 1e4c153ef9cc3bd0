from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from crawlers.causes import Cause
from crawlers.counts import CrawlCounts
from crawlers.network.answer import Validators
from crawlers.spiders.page_content import PageContent
from facedata.location import read_bytes

X = "https://x.org"
LATER, MUCH_LATER = "2026-06-01T00:00:00+00:00", "2026-09-01T00:00:00+00:00"
SPRING, SUMMER = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
Maker = Callable[..., Any]


@pytest.fixture
def crawled(crawl: Any, start: Maker, page: Maker, body: Maker) -> Any:
    """Ada's page with two images, all read in January."""
    crawl.answers = {f"{X}/ada": page(f"{X}/1", f"{X}/2")}
    crawl.ledger.add_claims([start("Ada")])
    (pending,) = crawl.pending()
    crawl.answer(pending, crawl.answers[pending.url], etag='"page"')
    one, two = crawl.pending()
    crawl.answer(one, body("one"), etag='"1"', content_type="image/jpeg", robots="allowed")
    crawl.answer(two, body("two"), last_modified="Thu, 01 Jan 2026 00:00:00 GMT")
    crawl.fetched_at = LATER
    return crawl


def bodies(crawl: Any) -> dict[str, bytes]:
    return {one.url: read_bytes(one.location) for one in crawl.ledger.stored()}


def test_a_refresh_asks_with_what_the_server_gave(crawled: Any, body: Maker) -> None:
    crawled.ledger.refresh(SPRING)
    page, one, two = crawled.pending()
    assert page.validators == Validators(etag='"page"')
    assert one.validators == Validators(etag='"1"')
    assert two.validators == Validators(last_modified="Thu, 01 Jan 2026 00:00:00 GMT")
    # What was stored before counts as stored until the answer is there.
    assert bodies(crawled) == {f"{X}/1": body("one"), f"{X}/2": body("two")}
    assert crawled.ledger.counts() == CrawlCounts(requested=2, pages_pending=1, fetched=3)


def test_unchanged_keeps_the_bytes_and_changed_stores_the_new_ones(
    crawled: Any, body: Maker
) -> None:
    before = crawled.fates()
    crawled.ledger.refresh(SPRING)
    page, one, two = crawled.pending()
    crawled.answer(page, 304)
    crawled.answer(one, 304)
    crawled.answer(two, body("2"))
    assert bodies(crawled) == {f"{X}/1": body("one"), f"{X}/2": body("2")}
    assert len(before & crawled.fates()) == 2
    first, _ = crawled.ledger.stored()
    assert (first.outcome.http_status, first.outcome.is_unchanged) == (304, True)
    assert (first.outcome.fetched_at, first.outcome.etag) == (LATER, '"1"')
    assert first.outcome.content_type == "image/jpeg"
    # The answers of January are still there.
    with sqlite3.connect(crawled.folder / "ledger.sqlite") as connection:
        query = "SELECT fetched_at, count(*), count(sha256) FROM answers GROUP BY fetched_at"
        assert connection.execute(query).fetchall() == [
            ("2026-01-01T00:00:00+00:00", 3, 2),
            (LATER, 3, 2),
        ]
    connection.close()


@pytest.mark.parametrize(
    "cause", [Cause.NOT_FOUND, Cause.OPTED_OUT, Cause.TDM_RESERVED, Cause.NOT_AN_IMAGE]
)
def test_an_image_that_is_gone_or_opted_out_counts_no_more(crawled: Any, cause: Cause) -> None:
    crawled.ledger.refresh(SPRING)
    page, one, two = crawled.pending()
    for pending, answer in ((page, 304), (one, cause), (two, 304)):
        crawled.answer(pending, answer)
    assert list(bodies(crawled)) == [f"{X}/2"]
    assert crawled.ledger.counts() == CrawlCounts(
        requested=2, stored=1, failed={cause.value: 1}, size_bytes=6, pages=1, fetched=6
    )
    # Asked for again it is fetched whole: nothing stands that could be unchanged.
    crawled.ledger.retry_failed()
    assert [one.validators for one in crawled.pending()] == [Validators()]


@pytest.mark.parametrize("cause", [Cause.TIMEOUT, Cause.HTTP_ERROR, Cause.HOST_DOWN])
def test_a_server_that_fails_takes_nothing_away(crawled: Any, body: Maker, cause: Cause) -> None:
    before = crawled.fates()
    crawled.ledger.refresh(SPRING)
    for pending in crawled.pending():
        crawled.answer(pending, cause)
    assert crawled.ledger.is_settled()
    assert crawled.fates() == before
    assert bodies(crawled) == {f"{X}/1": body("one"), f"{X}/2": body("two")}
    assert next(iter(crawled.ledger.stored())).outcome.etag == '"1"'
    # It was not refreshed, so the same refresh asks once more.
    crawled.ledger.refresh(SPRING)
    assert len(crawled.pending()) == 3


def test_a_refresh_goes_on_where_it_was_stopped(crawled: Any) -> None:
    crawled.ledger.refresh(SPRING)
    page, one, _ = crawled.pending()
    crawled.answer(page, 304)
    crawled.answer(one, 304)
    crawled.reopen()
    crawled.ledger.refresh(SPRING)
    assert [one.url for one in crawled.pending()] == [f"{X}/2"]
    crawled.fetched_at = MUCH_LATER
    crawled.reopen()
    crawled.ledger.refresh(SUMMER)
    assert len(crawled.pending()) == 3


def test_a_page_that_changed_brings_its_new_images(crawled: Any, page: Maker) -> None:
    crawled.ledger.refresh(SPRING)
    first, one, two = crawled.pending()
    crawled.answer(one, 304)
    crawled.answer(two, 304)
    crawled.answer(first, page(f"{X}/3", f"{X}/1"))
    assert [one.url for one in crawled.pending()] == [f"{X}/3"]
    assert crawled.ledger.counts().requested == 3


def test_a_page_that_is_gone_leads_nobody_else_to_its_images(crawled: Any, start: Maker) -> None:
    crawled.ledger.refresh(SPRING)
    for pending, answer in zip(crawled.pending(), (Cause.NOT_FOUND, 304, 304), strict=True):
        crawled.answer(pending, answer)
    crawled.ledger.add_claims([start("Bo", f"{X}/ada")])
    assert list(crawled.ledger.stored({"Bo"})) == []
    assert len(list(crawled.ledger.stored({"Ada"}))) == 2


def test_a_server_that_says_unchanged_of_something_new_is_wrong(crawl: Any, start: Maker) -> None:
    crawl.ledger.add_claims([start("Ada")])
    (pending,) = crawl.pending()
    crawl.answer(pending, 304)
    assert crawl.ledger.counts().pages_failed == {"http_error": 1}


def test_failures_are_retried_by_cause(crawled: Any, body: Maker) -> None:
    crawled.ledger.refresh(SPRING)
    answers = (304, Cause.NOT_FOUND, Cause.OPTED_OUT)
    for pending, answer in zip(crawled.pending(), answers, strict=True):
        crawled.answer(pending, answer)
    crawled.ledger.retry_failed([Cause.NOT_FOUND, Cause.TIMEOUT])
    (one,) = crawled.pending()
    assert one.url == f"{X}/1"
    crawled.answer(one, body("one"))
    crawled.ledger.retry_failed()
    (two,) = crawled.pending()
    assert two.url == f"{X}/2"
    crawled.answer(two, Cause.OPTED_OUT)
    assert crawled.ledger.counts().failed == {"opted_out": 1}


def test_what_was_refused_before_asking_is_not_retried(crawl: Any, start: Maker) -> None:
    crawl.ledger.add_claims([start("Ada", "https://z.org/1"), start("Ada", f"{X}/9", 9)])
    crawl.ledger.retry_failed()
    crawl.ledger.refresh(SUMMER)
    assert crawl.pending() == []


def test_a_page_that_has_opted_out_takes_its_images_with_it(
    crawled: Any, start: Maker, page: Maker, body: Maker
) -> None:
    crawled.answers = {f"{X}/bo": page(f"{X}/2"), f"{X}/ada": page(f"{X}/1")}
    crawled.answers |= {f"{X}/{n}": body(f"{n}") for n in (1, 2)}
    crawled.ledger.add_claims([start("Bo")])
    crawled.run()
    crawled.ledger.refresh(SPRING)
    first, *_ = crawled.pending()
    crawled.answer(first, PageContent(cause=Cause.OPTED_OUT, detail="noai"))
    assert [(one.identity, one.url) for one in crawled.ledger.stored()] == [("Bo", f"{X}/2")]
    assert crawled.ledger.counts().failed == {"opted_out": 2}
    crawled.reopen(max_pages=9)
    assert crawled.run() == [f"{X}/2"]
    # Once the page may be used again, so may what it shows.
    crawled.ledger.retry_failed()
    assert crawled.run() == [f"{X}/ada", f"{X}/1"]
    assert [one.url for one in crawled.ledger.stored({"Ada"})] == [f"{X}/1"]
    assert crawled.ledger.counts().failed == {"opted_out": 1}
