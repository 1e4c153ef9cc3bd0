from __future__ import annotations

from pathlib import Path

import pytest

from crawlers.process.planning import plan_crawl
from crawlers.spiders.url_list import read_url_list
from facedata.recipe import load_recipe, resolve_paths

EXAMPLES = Path(__file__).parents[3] / "examples" / "crawl"


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("recipe.yaml", ["gallery", "jsonapi"]),
        ("wikimedia.yaml", ["wikimedia"]),
        ("urls.yaml", ["urllist"]),
    ],
)
def test_the_examples_can_be_planned(name: str, kinds: list[str]) -> None:
    path = EXAMPLES / name
    (source,) = resolve_paths(load_recipe(path), path.parent).sources
    described = source.crawl or source.urls
    assert described is not None
    assert [site.spider for site in plan_crawl(described).sites.sites] == kinds


def test_the_example_list_can_be_read() -> None:
    rows = list(read_url_list(EXAMPLES / "urls.csv", "urls"))
    assert [row.rights.licence for row in rows] == ["cc-by-4.0", None]
