from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crawlers.ledger.rows import Claim
from crawlers.spiders.page_content import Rights

X = "https://x.org"
Maker = Callable[..., Any]


def test_a_wider_limit_goes_on_where_the_narrow_one_stopped(
    crawl: Any, start: Maker, page: Maker, body: Maker
) -> None:
    crawl.answers = {
        f"{X}/ada": page(following=(f"{X}/2",)),
        f"{X}/2": page(following=(f"{X}/3",)),
        f"{X}/3": page(f"{X}/photo"),
        f"{X}/photo": body("photo"),
    }
    crawl.ledger.add_claims([start("Ada")])
    assert crawl.run() == [f"{X}/ada", f"{X}/2"]
    crawl.reopen(max_pages=3)
    assert crawl.run() == [f"{X}/3", f"{X}/photo"]
    assert crawl.ledger.counts().pages_failed == {}
    crawl.reopen(max_pages=1)
    assert crawl.run() == []
    assert crawl.ledger.counts().pages_failed == {"page_limit": 2}


def test_people_who_left_the_list_are_not_asked_for_and_not_stored(
    crawl: Any, start: Maker, page: Maker, body: Maker
) -> None:
    crawl.answers = {
        f"{X}/ada": page(f"{X}/1", f"{X}/2"),
        f"{X}/bo": page(f"{X}/2", f"{X}/3"),
        f"{X}/1": body("1"),
        f"{X}/2": body("2"),
    }
    crawl.ledger.add_claims([start("Ada"), start("Bo")])
    crawl.run()
    crawl.ledger.retry_failed()
    crawl.reopen(listed=frozenset({"Ada"}))
    assert crawl.pending() == []
    assert [(one.identity, one.url) for one in crawl.ledger.stored()] == [
        ("Ada", f"{X}/1"),
        ("Ada", f"{X}/2"),
    ]
    assert ("Bo", f"{X}/2", "failed", "not_listed", None) in crawl.fates()
    assert crawl.ledger.counts().failed == {"not_listed": 2}
    crawl.reopen(listed=None)
    assert crawl.run() == [f"{X}/3"]
    assert [one.url for one in crawl.ledger.stored({"Bo"})] == [f"{X}/2"]


def test_licences_that_are_no_longer_accepted_take_their_images_away(
    crawl: Any, body: Maker
) -> None:
    crawl.answers = {f"{X}/{n}": body(str(n)) for n in range(3)}
    licences = ("cc0", "cc-by-4.0", None)
    crawl.ledger.add_claims(
        Claim(identity="Ada", site="s", url=f"{X}/{n}", rights=Rights(licence=licence))
        for n, licence in enumerate(licences)
    )
    crawl.run()
    crawl.reopen(licences=frozenset({"cc0"}))
    assert [one.rights.licence for one in crawl.ledger.stored()] == ["cc0"]
    assert crawl.ledger.counts().failed == {"licence_refused": 2}
    assert crawl.ledger.counts().size_bytes == 4
    crawl.reopen(licences=frozenset({"cc-by-4.0", "cc0"}))
    assert [one.url for one in crawl.ledger.stored()] == [f"{X}/0", f"{X}/1"]
    assert crawl.run() == []


def test_an_image_stays_when_another_page_shows_it_under_a_better_licence(
    crawl: Any, start: Maker, page: Maker, body: Maker
) -> None:
    crawl.answers = {
        f"{X}/ada": page(f"{X}/1", following=(f"{X}/ada2",), licence="arr"),
        f"{X}/ada2": page(f"{X}/1", licence="cc0"),
        f"{X}/1": body("1"),
    }
    crawl.ledger.add_claims([start("Ada")])
    crawl.run()
    assert next(iter(crawl.ledger.stored())).page_url == f"{X}/ada"
    crawl.reopen(licences=frozenset({"cc0"}))
    (one,) = crawl.ledger.stored()
    assert (one.page_url, one.rights.licence) == (f"{X}/ada2", "cc0")
    assert crawl.run() == []
