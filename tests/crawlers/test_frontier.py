from __future__ import annotations

from pathlib import Path

import pytest

from crawlers.causes import Cause
from crawlers.counts import CrawlCounts
from crawlers.frontier import Claim, Frontier
from crawlers.raw_store import RawStore
from crawlers.sites import Site
from crawlers.url_ledger import ImageRow, LedgerWriter, PageRow, UrlRow, read_rows

SITE = Site(
    name="s",
    start_url="https://x.org/{slug}",
    allowed_hosts=("x.org",),
    images={"css": "img", "attribute": "src"},
    max_pages=2,
)
START = Claim(identity="Ada", site="s", url="https://x.org/ada", page_number=1)
BO = Claim(identity="Bo", site="s", url="https://x.org/bo", page_number=1)


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    store = RawStore(tmp_path)
    store.clear_partial()
    return store


def open_frontier(tmp_path: Path, store: RawStore, *, retry_failed: bool = False) -> Frontier:
    frontier = Frontier([SITE], LedgerWriter(tmp_path / "l"), store, "gallery")
    frontier.recall(read_rows(tmp_path / "l"), retry_failed=retry_failed)
    return frontier


def page(claim: Claim, *images: str, following: str | None = None) -> PageRow:
    return PageRow(
        identity=claim.identity,
        site="s",
        spider="gallery",
        url=claim.url,
        page_url=claim.page_url,
        fetched_at="2026-01-01T00:00:00+00:00",
        image_urls=tuple(images),
        next_url=following,
    )


def image(claim: Claim, store: RawStore, body: bytes | None) -> UrlRow:
    return ImageRow(
        identity=claim.identity,
        site="s",
        spider="gallery",
        url=claim.url,
        page_url=claim.page_url,
        fetched_at="2026-01-01T00:00:00+00:00",
        cause=None if body else Cause.TIMEOUT,
        sha256=store.put(body) if body else None,
        size_bytes=len(body) if body else None,
    )


def test_a_page_leads_to_its_images_and_the_next_page(tmp_path: Path, store: RawStore) -> None:
    frontier = open_frontier(tmp_path, store)
    assert frontier.want([START]) == [START]
    found = frontier.settle(
        START, page(START, "https://x.org/1", "https://x.org/2", following="https://x.org/ada2")
    )
    assert [(claim.url, claim.page_number) for claim in found] == [
        ("https://x.org/1", 0),
        ("https://x.org/2", 0),
        ("https://x.org/ada2", 2),
    ]
    assert not frontier.is_settled()
    # The third page is beyond the site's limit; the link back to the start is known already.
    last = frontier.settle(found[2], page(found[2], following="https://x.org/ada3"))
    assert last == []
    assert frontier.counts().pages_failed == {"page_limit": 1}


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("data:image/png;base64,AAAA", Cause.UNSUPPORTED_SCHEME),
        ("file:///etc/passwd", Cause.UNSUPPORTED_SCHEME),
        ("javascript:alert(1)", Cause.UNSUPPORTED_SCHEME),
        ("https://y.org/1", Cause.OFF_SITE),
        ("https://x.org:22/1", Cause.OFF_SITE),
        ("https://[bad/1", Cause.BAD_URL),
        ("https://x.org:port/1", Cause.BAD_URL),
        ("https:///1", Cause.BAD_URL),
        ("https://x.org/" + "y" * 9000, Cause.BAD_URL),
    ],
)
def test_links_that_may_not_be_asked_for_are_recorded(
    tmp_path: Path, store: RawStore, url: str, cause: Cause
) -> None:
    frontier = open_frontier(tmp_path, store)
    frontier.want([START])
    assert frontier.settle(START, page(START, url)) == []
    assert frontier.counts() == CrawlCounts(requested=1, failed={cause: 1}, pages=1, fetched=1)
    assert [row.cause for row in read_rows(tmp_path / "l")] == [None, cause]


def test_people_who_share_a_photo_share_one_request(tmp_path: Path, store: RawStore) -> None:
    frontier = open_frontier(tmp_path, store)
    frontier.want([START, BO])
    shared = frontier.settle(START, page(START, "https://x.org/1", "https://x.org/1"))
    assert len(shared) == 1
    assert frontier.settle(BO, page(BO, "https://x.org/1", "https://x.org/2"))[0].url.endswith("2")
    frontier.settle(shared[0], image(shared[0], store, b"photo"))
    late = Claim(identity="Cy", site="s", url="https://x.org/1", page_url="https://x.org/cy")
    assert frontier.want([late]) == []
    rows = [row for row in read_rows(tmp_path / "l") if isinstance(row, ImageRow)]
    assert [(row.identity, row.page_url) for row in rows] == [
        ("Ada", "https://x.org/ada"),
        ("Bo", "https://x.org/bo"),
        ("Cy", "https://x.org/cy"),
    ]
    assert frontier.counts().stored == 3


def test_a_second_run_replays_the_ledger_and_asks_for_the_rest(
    tmp_path: Path, store: RawStore
) -> None:
    first = open_frontier(tmp_path, store)
    first.want([START])
    one, two, three = first.settle(
        START, page(START, "https://x.org/1", "https://x.org/2", "https://x.org/3")
    )
    first.settle(one, image(one, store, b"one"))
    first.settle(two, image(two, store, None))
    before = (tmp_path / "l").read_bytes()

    second = open_frontier(tmp_path, store)
    assert second.want([START]) == [three]
    assert second.counts() == CrawlCounts(
        requested=3, stored=1, failed={"timeout": 1}, size_bytes=3, pages=1
    )
    assert (tmp_path / "l").read_bytes() == before

    again = open_frontier(tmp_path, store, retry_failed=True)
    assert again.want([START]) == [two, three]
    again.settle(two, image(two, store, b"two"))
    assert open_frontier(tmp_path, store).want([START]) == [three]


def test_a_stored_file_that_is_gone_is_fetched_again(tmp_path: Path, store: RawStore) -> None:
    frontier = open_frontier(tmp_path, store)
    frontier.want([START])
    (one,) = frontier.settle(START, page(START, "https://x.org/1"))
    row = image(one, store, b"one")
    frontier.settle(one, row)
    assert isinstance(row, ImageRow)
    store.path_of(row.sha256 or "").unlink()
    assert open_frontier(tmp_path, store).want([START]) == [one]


def test_a_wider_limit_goes_on_where_the_narrow_one_stopped(
    tmp_path: Path, store: RawStore
) -> None:
    frontier = open_frontier(tmp_path, store)
    deep = Claim(identity="Ada", site="s", url="https://x.org/ada3", page_number=3)
    assert frontier.want([deep]) == []
    wider = SITE.model_copy(update={"max_pages": 3})
    resumed = Frontier([wider], LedgerWriter(tmp_path / "l"), store, "gallery")
    resumed.recall(read_rows(tmp_path / "l"), retry_failed=False)
    assert resumed.want([deep]) == [deep]
