"""Whole lists of claims: taken up once, and in place of the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from crawlers.ledger.rows import Claim
from facedata.errors import SourceError

X = "https://x.org"
Maker = Callable[..., Any]


def listed(*rows: str) -> list[Claim]:
    """Rows such as ``Ada 1``."""
    pairs = (row.split() for row in rows)
    return [Claim(identity=name, site="s", url=f"{X}/{number}") for name, number in pairs]


def stored(crawl: Any) -> list[str]:
    return [f"{one.identity} {one.url.removeprefix(X + '/')}" for one in crawl.ledger.stored()]


def test_a_list_that_was_taken_up_is_not_read_again(crawl: Any, body: Maker) -> None:
    crawl.answers = {f"{X}/1": body("1")}
    crawl.ledger.add_list(listed("Ada 1"), "first")
    crawl.run()

    def read_once_more() -> Iterator[Claim]:
        raise AssertionError("the list was read again")
        yield

    crawl.reopen()
    crawl.ledger.add_list(read_once_more(), "first")
    assert stored(crawl) == ["Ada 1"]


def test_rows_that_left_the_list_no_longer_count_and_may_come_back(crawl: Any, body: Maker) -> None:
    crawl.answers = {f"{X}/{n}": body(str(n)) for n in range(5)}
    crawl.ledger.add_list(listed("Ada 1", "Ada 2", "Bo 2"), "first")
    assert len(crawl.run()) == 2
    crawl.ledger.add_list(listed("Ada 1", "Bo 2", "Cy 3"), "second")
    assert stored(crawl) == ["Ada 1", "Bo 2"]
    assert crawl.ledger.counts().failed == {"not_listed": 1}
    crawl.ledger.add_list(listed("Ada 1"), "third")
    assert crawl.pending() == []
    assert stored(crawl) == ["Ada 1"]

    # Other rules change nothing about that.
    crawl.reopen(max_pages=3)
    assert stored(crawl) == ["Ada 1"]
    crawl.ledger.add_list(listed("Ada 1", "Ada 2", "Cy 3"), "fourth")
    assert crawl.run() == [f"{X}/3"]
    assert stored(crawl) == ["Ada 1", "Ada 2", "Cy 3"]
    assert crawl.ledger.counts().failed == {"not_listed": 1}


def test_a_list_that_breaks_off_changes_nothing_of_what_was_listed(crawl: Any, body: Maker) -> None:
    crawl.answers = {f"{X}/{n}": body(str(n)) for n in range(4)}
    crawl.ledger.add_list(listed("Ada 1", "Ada 2"), "first")
    crawl.run()

    def broken() -> Iterator[Claim]:
        yield from listed("Ada 3", "Ada 1")
        raise SourceError("row 3 is wrong; mend it")

    with pytest.raises(SourceError, match="row 3 is wrong"):
        crawl.ledger.add_list(broken(), "second")
    crawl.reopen(max_pages=3)
    assert stored(crawl) == ["Ada 1", "Ada 2"]
    crawl.ledger.add_list(listed("Ada 3", "Ada 1"), "second")
    crawl.run()
    assert stored(crawl) == ["Ada 1", "Ada 3"]


def test_what_a_page_leads_to_is_not_taken_off_with_a_list(
    crawl: Any, start: Maker, page: Maker, body: Maker
) -> None:
    crawl.answers = {f"{X}/ada": page(f"{X}/1"), f"{X}/1": body("1")}
    crawl.ledger.add_list([start("Ada")], "first")
    crawl.run()
    crawl.ledger.add_list([start("Ada", f"{X}/ada/moved")], "second")
    assert stored(crawl) == ["Ada 1"]
    assert crawl.ledger.counts().pages_failed == {"not_listed": 1}
