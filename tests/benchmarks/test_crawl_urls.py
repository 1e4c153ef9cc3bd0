"""The list of the site of faults: what it holds."""

from __future__ import annotations

from collections import Counter

from benchmarks.crawl_urls import SHARES, Kind, image_of, plan_urls


def test_a_list_has_its_share_of_every_kind() -> None:
    urls = plan_urls(1_000, hosts=4, seed=1)

    kinds = Counter(one.kind for one in urls)
    assert kinds.pop(Kind.IMAGE) == 720
    assert kinds == {kind: round(1_000 * share) for kind, share in SHARES.items()}
    assert len({(one.host, one.path) for one in urls}) == 1_000
    assert {one.host for one in urls if one.kind is Kind.DOWN} == {4}
    assert {one.host for one in urls if one.kind is not Kind.DOWN} == {0, 1, 2, 3}
    assert urls == plan_urls(1_000, hosts=4, seed=1)


def test_some_images_are_the_same_file() -> None:
    assert len({image_of(number) for number in range(1_000)}) == 980
    assert image_of(50) == image_of(51)
