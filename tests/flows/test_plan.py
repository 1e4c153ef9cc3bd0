"""What a dry run says of a crawl."""

from __future__ import annotations

from pathlib import Path

import yaml

from flows.plan import plan_crawls, plan_crawls_lines

SITES = """
contact: mailto:team@example.org
sites:
  - name: gallery
    start_url: "https://example.org/{identity}"
    allowed_hosts: [example.org]
    images: {css: img, attribute: src}
"""


def test_people_who_are_listed_twice_are_counted(tmp_path: Path) -> None:
    rows = ["identity,wikidata", "Ada,Q7259", "Ada Lovelace,Q7259", "Bo,"]
    (tmp_path / "people.csv").write_text("\n".join(rows))
    (tmp_path / "sites.yaml").write_text(SITES)
    crawl = {"identities": "people.csv", "sites": "sites.yaml", "author": "a", "purpose": "p"}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"name": "people", "sources": [{"crawl": crawl}]}))
    planned = plan_crawls(recipe, str(tmp_path / "work"))
    assert plan_crawls_lines(planned) == [
        "people: the lists and sites are valid",
        "  source crawl (crawl): 2 identities, 1 sites, 3 start pages, 1 listed twice, 0 stored",
    ]
