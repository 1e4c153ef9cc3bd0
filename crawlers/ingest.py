"""The ingest stage: every image of every source as one table of ``ImageRecord``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from crawlers.causes import Cause
from crawlers.crawled import read_crawled
from crawlers.importers.folder import list_folder, survey_folder
from crawlers.importers.identity_rule import identity_rule
from crawlers.importers.imports import IMPORTERS, list_import
from crawlers.run import list_crawl
from crawlers.spiders.licences import is_allowed, licence_name
from facedata.errors import SourceError
from facedata.names import own_name
from facedata.recipe import Recipe
from facedata.records import ImageRecord, to_parquet
from facedata.sources import Source
from facedata.stages import StageOutput, StageResult, digest_of, run_stage, stage_key
from facedata.storage import Storage
from facedata.versions import IdentityListFacts

STAGE = "ingest"
STAGE_VERSION = 2
IMAGES = "images.parquet"


def crawl_folder(source_name: str) -> str:
    """Where, below the workspace, a crawl source keeps its ledger and raw bytes."""
    return f"crawl/{source_name}"


def ingest(storage: Storage, recipe: Recipe, warn: Callable[[str], None]) -> StageResult:
    """List all sources again and store the table when it is new.

    ``warn`` is told what was left out, and which people have no image. The fact ``claims`` is the
    digest of who claims which bytes; unlike the table it does not depend on where the files lie,
    so later stages are keyed by it. The fact ``left_out`` counts, by source and cause, what
    importers could not make an image of, or what the recipe's ``licences`` do not let in: a
    folder's photos say no licence and are one's own. ``identity_lists`` are those crawled for.
    Names of a source whose identities are its own are those of ``facedata.names.own_name``.

    Raises:
        SourceError: when a source is missing or all of them together hold no image.
    """
    found = _Found()
    for name, source in zip(recipe.source_names(), recipe.sources, strict=True):
        listed = len(found.rows)
        _list_source(storage, name, source, found, warn)
        if recipe.licences and source.folder is None:
            found.rows[listed:] = _licensed(found, listed, name, recipe.licences)
        if source.identities == "own":
            found.rows[listed:] = [_with_own_name(row) for row in found.rows[listed:]]
    if not found.rows:
        raise SourceError(
            f"recipe {recipe.name}: the sources hold no image; "
            f"looked in {', '.join(recipe.source_names())}"
        )
    return _stored(storage, found)


def ingest_excluded(
    storage: Storage, recipe: Recipe, warn: Callable[[str], None]
) -> dict[str, StageResult]:
    """List every excluded set by itself, as ``ingest`` lists the sources; by name of the set.

    Raises:
        SourceError: when one is missing or holds no image.
    """
    stored = {}
    for name, source in zip(recipe.excluded_names(), recipe.exclude, strict=True):
        found = _Found()
        _list_source(storage, name, source, found, warn)
        if not found.rows:
            raise SourceError(
                f"exclude {name}: the set holds no image, so nobody can be found in it; "
                "check its path"
            )
        stored[name] = _stored(storage, found)
    return stored


def _licensed(found: _Found, start: int, name: str, licences: tuple[str, ...]) -> list[ImageRecord]:
    """The rows from ``start`` on whose licence is allowed; the others are counted."""
    rows = found.rows[start:]
    kept = [r for r in rows if is_allowed(licence_name(r.licence, r.licence_url), licences)]
    if refused := len(rows) - len(kept):
        found.left_out.setdefault(name, {})[Cause.LICENCE_REFUSED.value] = refused
    return kept


def _with_own_name(row: ImageRecord) -> ImageRecord:
    return replace(row, claimed_identity=own_name(row.source, row.claimed_identity))


def _stored(storage: Storage, found: _Found) -> StageResult:
    rows = sorted(found.rows, key=lambda r: (r.claimed_identity, r.source, r.source_uri))
    claims = digest_of([[r.claimed_identity, r.image_id, r.source, r.source_uri] for r in rows])
    lists = [asdict(one) for one in found.identity_lists]
    inputs = {
        "rows": digest_of([asdict(r) for r in rows]),
        "left_out": found.left_out,
        "identity_lists": lists,
    }
    facts = {"claims": claims, "left_out": found.left_out, "identity_lists": lists}
    key = stage_key(STAGE, STAGE_VERSION, {}, inputs)
    return run_stage(storage, STAGE, key, lambda: _output(rows, facts))


@dataclass(slots=True)
class _Found:
    """What the sources hold so far; ``left_out`` is source → cause → count."""

    rows: list[ImageRecord] = field(default_factory=list)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    identity_lists: list[IdentityListFacts] = field(default_factory=list)


def _list_source(
    storage: Storage, name: str, source: Source, found: _Found, warn: Callable[[str], None]
) -> None:
    if source.kind in IMPORTERS:
        total: Counter[str] = Counter()
        for listed in list_import(storage, name, source):
            found.rows.extend(listed.rows)
            total.update(listed.left_out)
            for warning in listed.warnings:
                warn(warning)
        if total:
            found.left_out[name] = dict(sorted(total.items()))
    elif source.folder is not None:
        folder = Path(source.folder.path)
        survey = survey_folder(folder, identity_rule(source.folder.identity))
        for warning in survey.warnings():
            warn(warning)
        found.rows.extend(list_folder(folder, name, survey))
    else:
        folder = storage.local_path(crawl_folder(name))
        found.rows.extend(list_crawl(folder, name, warn))
        found.identity_lists.extend(_identity_lists(folder, name))


def _identity_lists(folder: Path, name: str) -> list[IdentityListFacts]:
    """The lists that the partitions here were crawled for, usually one."""
    lists: list[IdentityListFacts] = []
    for part in read_crawled(folder).parts:
        facts = IdentityListFacts(source=name, **part.job.people.model_dump(exclude={"path"}))
        if facts not in lists:
            lists.append(facts)
    return lists


def _output(rows: list[ImageRecord], facts: Mapping[str, Any]) -> StageOutput:
    left_out = facts["left_out"]
    counts = {
        "images": len(rows),
        "distinct_images": len({row.image_id for row in rows}),
        "identities": len({row.claimed_identity for row in rows}),
        "left_out": sum(sum(causes.values()) for causes in left_out.values()),
    }
    files = {IMAGES: to_parquet(ImageRecord, rows)}
    return StageOutput(files=files, counts=counts, facts=dict(facts))
