"""``winnow crawl`` as people run it: parts on their own, a list of URLs, progress, a report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.site import DemoSite, serve, write_crawl_files
from demo.site_faults import Faults

FAULTS = Faults(not_found=3, robots_forbidden=2)
SAID = {"author": "The tests", "purpose": "Testing the command"}


@pytest.fixture(scope="module")
def site(photos: Path) -> Iterator[DemoSite]:
    """The rendered people on a site."""
    with serve(photos.parents[1], FAULTS) as running:
        yield running


def write(folder: Path, **source: Any) -> Path:
    path = folder / "recipe.yaml"
    recipe = {"name": "people", "models": "demo", "sources": [source]}
    path.write_text(yaml.safe_dump(recipe), "utf-8")
    return path


def test_parts_are_crawled_one_by_one_and_ingested_together(
    winnow: Any, site: DemoSite, tmp_path: Path, prefect_server: Any
) -> None:
    files = write_crawl_files(site, tmp_path)
    crawl = {"identities": str(files.identities), "sites": str(files.sites), "partitions": 2}
    recipe = write(tmp_path, name="parts-of-web", crawl=crawl | SAID)
    work = tmp_path / "work"

    planned = winnow("crawl", recipe, "-w", work, "--dry-run")
    assert planned.out.splitlines()[1] == (
        "  source parts-of-web (crawl): 6 identities, 1 sites, 6 start pages, 2 partitions, "
        "0 stored"
    )
    wrong = winnow("crawl", recipe, "-w", work, "--partition", "1/3")
    assert (wrong.code, wrong.complaint[:36]) == (2, "partition 1/3 was asked for, and the")

    first = winnow("crawl", recipe, "-w", work, "--partition", "1/2", "--json")
    one = first.answer["stages"]["crawl"]["parts-of-web"]
    whole = winnow("ingest", recipe, "-w", work, "--json").answer["stages"]
    both = whole["crawl"]["parts-of-web"]
    real = sum(len(photos) for photos in site.plan.galleries.values()) - len(site.plan.bad)
    assert 0 < one["stored"] < both["stored"] == whole["ingest"]["images"] == real
    assert both["failed"] == site.plan.expected()
    asked = [path for path in site.requests if path.startswith("/photos/")]
    assert len(asked) == len(set(asked))
    assert Path(both["report"]).name == "report.html"
    assert json.loads(Path(both["report"]).with_suffix(".json").read_text())["partitions"] == 2

    found = prefect_server.ask("/artifacts/latest/filter")
    tables = [one for one in found if one["key"] == "crawl-parts-of-web"]
    ((row,),) = [json.loads(table["data"]) for table in tables]
    assert row["images"] == both["stored"]
    assert row["refusals"] == site.plan.expected()["robots_forbidden"]


def test_a_list_of_urls_is_a_source_like_any_other(
    winnow: Any, site: DemoSite, tmp_path: Path
) -> None:
    paths = sorted(path for paths in site.plan.galleries.values() for path in paths)
    good = [path for path in paths if path not in site.plan.bad][:6]
    rows = [f"{path.split('/')[2]},{site.url}{path}" for path in good]
    (tmp_path / "urls.csv").write_text("\n".join(["identity,url", *rows]) + "\n", "utf-8")
    source = {
        "path": "urls.csv",
        "contact": "mailto:team@example.org",
        "delay_s": 0,
        "allow_private": [site.url.removeprefix("http://")],
    }
    recipe = write(tmp_path, urls=source | SAID)
    done = winnow("ingest", recipe, "-w", tmp_path / "work", "--json").answer["stages"]
    assert done["ingest"]["images"] == done["crawl"]["urls"]["stored"] == 6
