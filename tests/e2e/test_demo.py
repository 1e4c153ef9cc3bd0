"""The demo through the command: the crawl's faults, the score against the truth, a second run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from facedata.storage import Storage
from facedata.versions import LEDGER, PROVENANCE, read_manifest

PEOPLE = 10


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One workspace for the module: the second test goes on where the first ended."""
    return tmp_path_factory.mktemp("demo")


def demo(winnow: Any, workspace: Path) -> dict[str, Any]:
    options = ("--people", str(PEOPLE), "--json")
    answer: dict[str, Any] = winnow("demo", "-w", workspace, *options).answer
    return answer


def test_the_demo_ships_the_right_people(winnow: Any, workspace: Path) -> None:
    done = demo(winnow, workspace)

    crawl, score = done["crawl"], done["score"]
    assert crawl["requested"] == crawl["stored"] + sum(crawl["failed"].values())
    assert {"not_found", "truncated", "not_an_image", "robots_forbidden"} <= set(crawl["failed"])
    assert score["shipped"] > PEOPLE * 8
    assert score["wrong"] <= 0.01 * score["shipped"]
    assert score["genuine_shipped"] >= 0.9 * score["genuine"]
    assert score["copies_dropped"] == score["copies"] > 0
    assert done["review"]["same_person_found"] == done["review"]["same_person_pairs"] == 1
    assert done["release"]["version"] == "demo-v0001"
    assert done["release"]["identities"] < PEOPLE


def test_the_version_says_where_each_photo_came_from_and_on_whose_word(workspace: Path) -> None:
    storage = Storage(workspace)
    manifest = read_manifest(storage, "demo-v0001")
    folder = workspace / "versions" / manifest.version

    (listed,) = manifest.identity_lists
    assert listed.people >= PEOPLE
    assert listed.author
    assert listed.purpose
    origins = pq.read_table(folder / PROVENANCE)
    ledger = pq.read_table(folder / LEDGER)
    assert "location" not in origins.column_names
    same = ["image_id", "source", "source_uri", "claimed_identity"]
    assert origins.select(same).equals(ledger.select(same))
    first = origins.to_pylist()[0]
    assert first["url"].startswith("http://127.0.0.1:")
    assert (first["http_status"], first["robots"], first["spider"]) == (200, "allowed", "gallery")


def test_a_second_demo_finds_everything_done(winnow: Any, workspace: Path) -> None:
    done = demo(winnow, workspace)

    assert done["crawl"]["fetched_now"] == 0
    assert done["release"]["is_new"] is False
    assert done["seconds"]["render"] < 5
