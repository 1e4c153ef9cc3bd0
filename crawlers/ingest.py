"""The ingest stage: every image of every source as one table of ``ImageRecord``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from crawlers.folder import list_folder, survey_folder
from crawlers.run import list_crawl
from facedata.errors import SourceError
from facedata.recipe import Recipe
from facedata.records import ImageRecord, to_parquet
from facedata.stages import StageOutput, StageResult, digest_of, run_stage, stage_key
from facedata.storage import Storage

STAGE = "ingest"
STAGE_VERSION = 1
IMAGES = "images.parquet"


def crawl_folder(source_name: str) -> str:
    """Where, below the workspace, a crawl source keeps its ledger and raw bytes."""
    return f"crawl/{source_name}"


def ingest(storage: Storage, recipe: Recipe, warn: Callable[[str], None]) -> StageResult:
    """List all sources again and store the table when it is new.

    ``warn`` is told what was left out, and which people have no image. The fact ``claims`` is the
    digest of who claims which bytes; unlike the table it does not depend on where the files lie,
    so later stages are keyed by it.

    Raises:
        SourceError: when a source is missing or all of them together hold no image.
    """
    rows = _list_sources(storage, recipe, warn)
    if not rows:
        raise SourceError(
            f"recipe {recipe.name}: the sources hold no image; "
            f"looked in {', '.join(recipe.source_names())}"
        )
    claims = digest_of([[r.claimed_identity, r.image_id, r.source, r.source_uri] for r in rows])
    key = stage_key(STAGE, STAGE_VERSION, {}, {"rows": digest_of([asdict(r) for r in rows])})
    return run_stage(storage, STAGE, key, lambda: _output(rows, claims))


def _list_sources(
    storage: Storage, recipe: Recipe, warn: Callable[[str], None]
) -> list[ImageRecord]:
    rows: list[ImageRecord] = []
    for name, source in zip(recipe.source_names(), recipe.sources, strict=True):
        if source.folder:
            folder = Path(source.folder.path)
            survey = survey_folder(folder)
            for warning in survey.warnings():
                warn(warning)
            rows.extend(list_folder(folder, name, survey))
        else:
            rows.extend(list_crawl(storage.local_path(crawl_folder(name)), name))
    return sorted(rows, key=lambda r: (r.claimed_identity, r.source, r.source_uri))


def _output(rows: list[ImageRecord], claims: str) -> StageOutput:
    counts = {
        "images": len(rows),
        "distinct_images": len({row.image_id for row in rows}),
        "identities": len({row.claimed_identity for row in rows}),
    }
    files = {IMAGES: to_parquet(ImageRecord, rows)}
    return StageOutput(files=files, counts=counts, facts={"claims": claims})
