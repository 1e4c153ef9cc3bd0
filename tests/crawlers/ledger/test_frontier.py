from __future__ import annotations

from typing import Any

from crawlers.causes import Cause
from crawlers.ledger.rows import Claim


def claims(*urls: str) -> list[Claim]:
    return [Claim(identity="Ada", site="s", url=url) for url in urls]


def urls(pending: list[Any]) -> list[str]:
    return [one.url.removeprefix("https://") for one in pending]


def test_hosts_take_turns_and_each_has_its_own_order(crawl: Any) -> None:
    crawl.ledger.add_claims(claims(*(f"https://x.org/{n}" for n in range(5))))
    crawl.ledger.add_claims(claims("https://X.org:8080/a", "https://y.org/b", "https://y.org/a"))
    first = crawl.pending(per_host=2, hosts=2)
    assert [one.host for one in first] == ["x.org", "x.org", "y.org", "y.org"]
    assert urls(first) == ["x.org/0", "x.org/1", "y.org/b", "y.org/a"]
    # Two of x.org are out already; once they are answered it has its turn again.
    assert crawl.pending(per_host=2, hosts=2) == []
    for one in first[:1]:
        crawl.answer(one, Cause.TIMEOUT)
    assert urls(crawl.pending(per_host=2, hosts=2)) == ["x.org/2"]
    assert urls(crawl.pending(per_host=5, hosts=1)) == ["x.org/3", "x.org/4"]


def test_a_host_with_much_to_do_does_not_keep_others_waiting(crawl: Any) -> None:
    for host in ("x.org", "x.org.a", "x.org.b"):
        crawl.ledger.add_claims(claims(*(f"https://{host}/{n}" for n in range(3))))
    turns = [urls(crawl.pending(per_host=9, hosts=1)) for _ in range(4)]
    assert [len(turn) for turn in turns] == [3, 3, 3, 0]
    crawl.reopen()
    seen = []
    while batch := crawl.pending(per_host=1, hosts=1):
        seen.append(batch[0].host)
        crawl.answer(batch[0], Cause.TIMEOUT)
    assert seen == ["x.org", "x.org.a", "x.org.b"] * 3


def test_busy_hosts_are_passed_over(crawl: Any) -> None:
    crawl.ledger.add_claims(claims("https://x.org/1", "https://y.org/1", "https://x.org/2"))
    assert urls(crawl.pending(busy={"x.org"})) == ["y.org/1"]
    assert urls(crawl.pending()) == ["x.org/1", "x.org/2"]


def test_pages_and_images_can_be_asked_for_apart(crawl: Any) -> None:
    page = Claim(identity="Ada", site="s", url="https://x.org/page", page_number=1)
    crawl.ledger.add_claims([*claims("https://x.org/1"), page, *claims("https://x.org/2")])
    assert urls(crawl.pending(is_page=True)) == ["x.org/page"]
    assert urls(crawl.pending(is_page=True)) == []
    assert urls(crawl.pending(is_page=False)) == ["x.org/1", "x.org/2"]
    crawl.reopen()
    assert urls(crawl.pending()) == ["x.org/1", "x.org/page", "x.org/2"]


def test_what_is_given_back_is_handed_out_again(crawl: Any) -> None:
    crawl.ledger.add_claims(claims("https://x.org/1", "https://x.org/2"))
    one, _ = crawl.pending()
    assert crawl.pending() == []
    crawl.ledger.give_back([one, one])
    assert crawl.pending() == [one]


def test_hosts_are_counted_apart(crawl: Any) -> None:
    crawl.ledger.add_claims(claims("https://x.org/1", "https://y.org/1", "data:,x", "https://z/"))
    crawl.answer(crawl.pending()[0], Cause.TIMEOUT)
    counts = crawl.ledger.by_host()
    assert {host: (one.requested, one.pending, one.failed) for host, one in counts.items()} == {
        "": (1, 0, {"off_site": 1}),
        "x.org": (1, 0, {"timeout": 1}),
        "y.org": (1, 1, {}),
        "z": (1, 0, {"off_site": 1}),
    }
