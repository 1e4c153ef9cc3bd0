"""A list of URLs of which much is wrong, crawled undisturbed and killed again and again."""

from __future__ import annotations

from pathlib import Path

from benchmarks.crawl_faults import (
    asked_again,
    crawl_killed,
    crawl_whole,
    started_list,
    wrong_causes,
)
from benchmarks.crawl_urls import Kind

URLS = 1_500
KILLS = 4
# A machine that is busy takes its time to write what was answered.
WRITTEN_WITHIN_S = 10.0


def test_a_killed_crawl_ends_as_one_that_nobody_disturbed(tmp_path: Path) -> None:
    with started_list(URLS, tmp_path) as listed:
        whole = crawl_whole(listed, tmp_path / "whole")
        killed = crawl_killed(listed, tmp_path / "killed", KILLS)

    assert len(whole.accounts) == URLS
    assert wrong_causes(listed, whole) == {}
    assert len(killed.kills) == KILLS
    assert killed.accounts ^ whole.accounts == set()

    # Nothing is fetched twice but what was under way when a kill came.
    assert asked_again(listed, whole) == []
    assert max(asked_again(listed, killed), default=0.0) < WRITTEN_WITHIN_S
    forbidden = f"/{Kind.FORBIDDEN}/"
    asked = [*whole.asked, *killed.asked]
    assert [one for one in asked if one.path.startswith(forbidden)] == []
