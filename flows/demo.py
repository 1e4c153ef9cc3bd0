"""``winnow demo``: the whole way on a site of rendered celebrities, with the truth to compare."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from cleaning.review.pairs_csv import Reading, write_pairs
from cleaning.stages.review import shown_candidates, take_in_answers
from cleaning.stages.review_folder import ReviewFolder
from demo.score import Box, Score, Truth, score
from demo.site import DemoSite, serve, write_crawl_files
from demo.site_faults import DEMO_FAULTS
from demo.web import plan_web
from demo.web_files import write_web
from facedata.records import LedgerRow
from facedata.review import CandidateRow
from facedata.storage import Storage
from facedata.versions import LEDGER, Manifest, read_manifest
from flows.build import build
from flows.clock import utc_now

Answer = dict[str, Any]

_PORT = 47331
"""Tried first, so that a second run finds the URLs of the first in its ledger."""
_PHOTOS_PER_PERSON = 16
_NAME = "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """How large the demo's world is, which people live in it, and whether it ends with training."""

    people: int
    seed: int
    train: bool = False


def run_demo(workspace: Path, options: DemoOptions) -> Answer:
    """Render the site, crawl it, build a version, and compare it with the truth.

    Raises:
        WinnowError: as a build does.
    """
    started = time.monotonic()
    web = workspace / "web"
    _render(web, options)
    rendered = time.monotonic()
    with _serve(web) as site:
        recipe = str(_write_recipe(site, workspace))
        asked = build(recipe, str(workspace), until="review")
        answered = _answer_review(workspace, web)
        built = build(recipe, str(workspace))
        trained = _train(recipe, workspace, options)
    return {
        **trained,
        "score": asdict(_score(workspace, web, built["release"]["version"])),
        "crawl": asked["stages"]["crawl"]["crawl"],
        "review": answered,
        "release": built["release"],
        "seconds": {
            "render": round(rendered - started, 1),
            "total": round(time.monotonic() - started, 1),
        },
    }


def _render(web: Path, options: DemoOptions) -> None:
    """Render the site unless this very one is there already."""
    marker = web / "rendered.json"
    wanted = json.dumps({"people": options.people, "seed": options.seed}, sort_keys=True)
    if marker.exists() and marker.read_text("utf-8") == wanted:
        return
    marker.unlink(missing_ok=True)
    planned = plan_web(options.seed, options.people, _PHOTOS_PER_PERSON)
    write_web(planned, web)
    marker.write_text(wanted, "utf-8")


@contextmanager
def _serve(web: Path) -> Iterator[DemoSite]:
    try:
        running = serve(web, DEMO_FAULTS, port=_PORT)
        site = running.__enter__()
    except OSError:
        running = serve(web, DEMO_FAULTS)
        site = running.__enter__()
    try:
        yield site
    finally:
        running.__exit__(None, None, None)


def _write_recipe(site: DemoSite, workspace: Path) -> Path:
    files = write_crawl_files(site, workspace / "web")
    recipe = {
        "name": _NAME,
        "models": "demo",
        "sources": [
            {
                "crawl": {
                    "spider": "gallery",
                    "identities": str(files.identities.relative_to(workspace)),
                    "sites": str(files.sites.relative_to(workspace)),
                    "author": "winnow demo",
                    "purpose": "showing what Winnow does, on people who do not exist",
                }
            }
        ],
    }
    path = workspace / "demo.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), "utf-8")
    return path


def _train(recipe: str, workspace: Path, options: DemoOptions) -> Answer:
    """Go on with training when asked to; torch is needed only then."""
    if not options.train:
        return {}
    from flows.demo_training import train_demo

    return {"training": train_demo(recipe, workspace, options.seed)}


def _answer_review(workspace: Path, web: Path) -> Answer:
    """Answer every open pair from the demo's truth, through the file that a person fills in."""
    storage = Storage(workspace)
    folder = ReviewFolder(storage=storage, dataset=_NAME)
    truth = Truth.read(web / "truth.json")
    answered = [
        replace(row, decision=_answer(truth, row), decided_by="demo truth")
        for row in shown_candidates(folder)
    ]
    reading = Reading(reviewer="demo truth", decided_at=utc_now())
    take_in_answers(folder, reading, write_pairs(answered))
    asked = {frozenset((row.identity_a, row.identity_b)) for row in answered}
    return {
        "pairs": len(answered),
        "same": sum(row.decision == "same" for row in answered),
        "same_person_pairs": len(truth.same_person),
        "same_person_found": sum(frozenset(pair) in asked for pair in truth.same_person),
        "look_alikes_asked": sum(frozenset(pair) in asked for pair in truth.look_alikes),
    }


def _answer(truth: Truth, row: CandidateRow) -> str:
    return "same" if truth.is_same_person(row.identity_a, row.identity_b) else "different"


def _score(workspace: Path, web: Path, version: str) -> Score:
    storage = Storage(workspace)
    rows = storage.read_records(f"versions/{version}/{LEDGER}", LedgerRow)
    boxes = _shipped_boxes(storage, read_manifest(storage, version))
    return score(Truth.read(web / "truth.json"), rows, boxes)


def _shipped_boxes(storage: Storage, manifest: Manifest) -> dict[str, Box]:
    """Face id → box, read from the released shards as any reader would."""
    boxes: dict[str, Box] = {}
    for shard in manifest.shards:
        data = storage.read(f"versions/{manifest.version}/{shard.path}")
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.name.endswith(".json") else None
                if stream is not None:
                    facts = json.load(stream)
                    boxes[facts["face_id"]] = facts["box"]
    return boxes


def demo_lines(result: Answer) -> list[str]:
    """What the demo did and how right it was, for people."""
    crawl, review, marks = result["crawl"], result["review"], result["score"]
    release = result["release"]
    failed = ", ".join(f"{count} {cause}" for cause, count in sorted(crawl["failed"].items()))
    return [
        f"crawled   {crawl['stored']} of {crawl['requested']} photos from a local site; "
        f"failed: {failed or 'none'}",
        f"review    pairs of names asked about: {review['pairs']}; the demo's own truth answered, "
        "no person was involved",
        f"          people under two names found: {review['same_person_found']} of "
        f"{review['same_person_pairs']}",
        *_release_lines(release),
        f"right     {marks['shipped'] - marks['wrong']} of {marks['shipped']} shipped photos show "
        "the person they are shipped under",
        f"          {marks['genuine_shipped']} of {marks['genuine']} genuine photos shipped, "
        f"{marks['misfiled_home']} of {marks['misfiled']} misfiled ones moved to their person",
        *_training_lines(result),
        f"took      {result['seconds']['total']} s, {result['seconds']['render']} s of it to "
        "render the site",
        f"look at   {release['folder']}/report/index.html",
    ]


def _training_lines(result: Answer) -> list[str]:
    if "training" not in result:
        return []
    from flows.demo_training import training_lines

    return training_lines(result["training"])


def _release_lines(release: Answer) -> list[str]:
    counts = release["counts"]
    state = "released" if release["is_new"] else "is up to date"
    return [
        f"version   {release['version']} {state}: {release['identities']} identities, "
        f"{counts['images']} photos = {counts['kept']} kept + {counts['moved']} moved + "
        f"{counts['dropped']} dropped + {counts['held']} held"
    ]
