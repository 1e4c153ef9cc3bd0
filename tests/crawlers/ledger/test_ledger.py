from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from crawlers.causes import Cause
from crawlers.counts import CrawlCounts
from crawlers.ledger.rows import Claim
from crawlers.spiders.page_content import FoundImage, PageContent, Rights
from facedata.location import read_bytes

X = "https://x.org"
LATER = datetime(2026, 6, 1, tzinfo=UTC)
Maker = Callable[..., Any]


def test_a_page_leads_to_its_images_and_the_next_page(
    crawl: Any, start: Maker, page: Maker, body: Maker
) -> None:
    crawl.answers = {
        f"{X}/ada": page(f"{X}/1", f"{X}/2", following=(f"{X}/ada2",)),
        f"{X}/ada2": page(following=(f"{X}/ada3", f"{X}/ada")),
        f"{X}/1": body("one"),
    }
    crawl.ledger.add_claims([start("Ada")])
    assert crawl.run() == [f"{X}/ada", f"{X}/1", f"{X}/2", f"{X}/ada2"]
    assert crawl.ledger.is_settled()
    assert crawl.ledger.counts() == CrawlCounts(
        requested=2,
        stored=1,
        failed={"not_found": 1},
        size_bytes=6,
        pages=2,
        pages_failed={"page_limit": 1},
        fetched=4,
    )
    assert [(one.url, one.page_url) for one in crawl.asked] == [
        (f"{X}/ada", None),
        (f"{X}/1", f"{X}/ada"),
        (f"{X}/2", f"{X}/ada"),
        (f"{X}/ada2", f"{X}/ada"),
    ]


def test_people_who_share_a_photo_share_one_request(
    crawl: Any, start: Maker, page: Maker, body: Maker
) -> None:
    crawl.answers = {
        f"{X}/ada": page(f"{X}/1", f"{X}/1"),
        f"{X}/bo": page(f"{X}/1", f"{X}/2"),
        f"{X}/1": body("photo"),
    }
    crawl.ledger.add_claims([start("Ada"), start("Bo")])
    assert sorted(crawl.run()) == [f"{X}/1", f"{X}/2", f"{X}/ada", f"{X}/bo"]
    late = Claim(identity="Cy", site="t", url=f"{X}/1", page_url=f"{X}/cy")
    crawl.ledger.add_claims([late])
    assert crawl.pending() == []
    stored = list(crawl.ledger.stored())
    assert [(one.identity, one.page_url) for one in stored] == [
        ("Ada", f"{X}/ada"),
        ("Bo", f"{X}/bo"),
        ("Cy", f"{X}/cy"),
    ]
    assert {read_bytes(one.location) for one in stored} == {body("photo")}
    assert {(one.spider, one.spider_version) for one in stored} == {("gallery", "1.0")}
    assert [one.identity for one in crawl.ledger.stored({"Bo", "Cy"}, {"s"})] == ["Bo"]
    assert crawl.ledger.counts().stored == 3
    assert crawl.ledger.counts().size_bytes == 3 * 8


def test_a_new_claim_on_a_page_that_was_read_has_its_images_without_asking(
    crawl: Any, start: Maker, page: Maker, body: Maker
) -> None:
    crawl.answers = {
        f"{X}/ada": page(f"{X}/1", following=(f"{X}/ada2",)),
        f"{X}/ada2": page(f"{X}/2"),
        f"{X}/1": body("one"),
        f"{X}/2": body("two"),
    }
    crawl.ledger.add_claims([start("Ada")])
    crawl.run()
    crawl.ledger.add_claims([start("Bo", f"{X}/ada")])
    assert crawl.run() == []
    mine = [(one.identity, one.url) for one in crawl.ledger.stored({"Bo"})]
    assert mine == [("Bo", f"{X}/1"), ("Bo", f"{X}/2")]
    # Another site reads the page with selectors of its own.
    crawl.ledger.add_claims([start("Ada", f"{X}/ada", site="t")])
    assert crawl.run() == [f"{X}/ada", f"{X}/ada2"]


def test_claims_that_may_not_be_asked_for_are_accounted_for(crawl: Any) -> None:
    crawl.licences = frozenset({"cc0"})
    free, other = Rights(licence="cc0"), Rights(licence="arr")
    claims = [
        Claim(identity="Ada", site="s", url="https://[bad/1", rights=free),
        Claim(identity="Ada", site="s", url=f"{X}/1", rights=other),
        Claim(identity="Bo", site="s", url=f"{X}/1", rights=other),
        Claim(identity="Ada", site="s", url=f"{X}/far", page_number=9),
    ]
    crawl.ledger.add_claims(claims)
    assert crawl.pending() == []
    assert crawl.fates() == {
        ("Ada", "https://[bad/1", "failed", "off_site", None),
        ("Ada", f"{X}/1", "failed", "licence_refused", None),
        ("Bo", f"{X}/1", "failed", "licence_refused", None),
        ("Ada", f"{X}/far", "failed", "page_limit", None),
    }
    assert crawl.ledger.is_settled()
    # A page that says more than the first one did makes the difference.
    crawl.ledger.add_claims([Claim(identity="Ada", site="s", url=f"{X}/1", rights=free)])
    assert [one.url for one in crawl.pending()] == [f"{X}/1"]
    assert crawl.ledger.counts() == CrawlCounts(
        requested=3, failed={"licence_refused": 1, "off_site": 1}, pages_failed={"page_limit": 1}
    )


def test_the_same_claims_again_change_nothing(crawl: Any, start: Maker, page: Maker) -> None:
    crawl.answers = {f"{X}/ada": page(f"{X}/1", "https://z.org/2")}
    crawl.ledger.add_claims([start("Ada"), start("Bo")])
    crawl.run()
    before = crawl.fates()
    crawl.ledger.add_claims([start("Bo"), start("Ada")])
    assert crawl.pending() == []
    assert crawl.fates() == before


def test_the_same_bytes_are_stored_once(crawl: Any, body: Maker) -> None:
    urls = [f"{X}/{n}" for n in range(4)]
    crawl.answers = dict.fromkeys(urls, body("same"))
    crawl.ledger.add_claims(Claim(identity="Ada", site="s", url=url) for url in urls)
    crawl.run()
    assert len({one.location for one in crawl.ledger.stored()}) == 1
    assert crawl.ledger.counts().stored == 4


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_shorter_way_to_a_page_counts_whichever_is_found_first(
    crawl: Any, start: Maker, page: Maker, order: tuple[int, int]
) -> None:
    crawl.answers = {f"{X}/p": page(following=(f"{X}/q",)), f"{X}/q": page(f"{X}/1")}
    ways = [start("Ada", f"{X}/p", 2), start("Ada", f"{X}/p", 1)]
    for way in order:
        crawl.ledger.add_claims([ways[way]])
        crawl.run()
    assert ("Ada", f"{X}/q", "stored", None, None) in crawl.fates()


def test_a_page_that_may_not_be_used_fails_with_its_own_cause(crawl: Any, start: Maker) -> None:
    content = PageContent(cause=Cause.OPTED_OUT, detail="noai")
    crawl.answers = {f"{X}/ada": content}
    crawl.ledger.add_claims([start("Ada")])
    crawl.run()
    assert crawl.ledger.counts().pages_failed == {"opted_out": 1}


def test_a_page_that_asks_for_time_is_handed_out_again_later(
    crawl: Any, start: Maker, page: Maker
) -> None:
    crawl.ledger.add_claims([start("Ada")])
    (first,) = crawl.pending()
    crawl.answer(first, PageContent(retry_after_s=60))
    assert crawl.pending() == []
    assert not crawl.ledger.is_settled()
    crawl.answer(first, PageContent(retry_after_s=-1))
    (again,) = crawl.pending()
    assert (first.postponed, again.postponed) == (0, 2)
    crawl.answer(again, page())
    assert crawl.ledger.counts().pages == 1


def test_odd_text_is_kept(crawl: Any, body: Maker) -> None:
    url = f"{X}/ü\ud800"
    found = FoundImage(url=f"{X}/\udfff", rights=Rights(author="Zoë \ud83d"))
    crawl.ledger.add_claims([Claim(identity="Zoë \ud800", site="s", url=url, page_number=1)])
    (pending,) = crawl.pending()
    crawl.answer(pending, PageContent(images=(found,)), detail="\udcff")
    (pending,) = crawl.pending()
    crawl.answer(pending, body("x"))
    (one,) = crawl.ledger.stored()
    assert (one.identity, one.url) == ("Zoë \\ud800", f"{X}/\\udfff")
    assert one.rights == Rights(author="Zoë \\ud83d")
