"""The release stage: decisions applied, the version's folder written, its manifest last."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from cleaning.export.croissant import CardData, render_card
from cleaning.export.report import ReportData, list_unknowns, render_report
from cleaning.export.samples import Sample, sample_of
from cleaning.export.shards import ImageFormat, ShardConfig, ShardInfo, write_shards
from cleaning.identity.merge import Contradiction, Merges, merge
from cleaning.review.decisions import latest, with_decisions
from cleaning.stages.crops import CropReader
from cleaning.stages.faces import FACES
from cleaning.stages.measured import Measured
from cleaning.stages.report import ReportInput, report_data
from cleaning.stages.review_folder import ReviewFolder
from cleaning.stages.settle import Verdicts, hopeful_identity, settle
from facedata.ledger import check_complete, count_outcomes
from facedata.recipe import Recipe
from facedata.records import FaceRecord, ImageRecord, LedgerRow, from_table, to_parquet
from facedata.review import CandidateRow
from facedata.stages import StageResult
from facedata.storage import Storage
from facedata.versions import (
    CANDIDATES,
    CROISSANT,
    LEDGER,
    MANIFEST,
    REPORT,
    Manifest,
    ShardEntry,
    assign_class_indices,
    content_digest,
    latest_manifest,
    next_version,
)

# Outweighs any number of faces: an identity that already has a class index keeps its name.
_KNOWN_NAME_WEIGHT = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseInput:
    """All that a release is made from."""

    recipe: Recipe
    code_version: str
    models: dict[str, str]
    images: Sequence[ImageRecord]
    rows: Sequence[LedgerRow]
    """The ledger as the intra-class stage left it, row-aligned with ``images``."""
    intra: StageResult
    inter: StageResult
    candidates: Sequence[CandidateRow]
    faces: Sequence[StageResult]
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A version, and whether this run made it or found that nothing had changed."""

    manifest: Manifest
    is_new: bool
    contradictions: tuple[Contradiction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """The content of a version before it is written."""

    rows: list[LedgerRow]
    candidates: list[CandidateRow]
    merges: Merges
    identities: dict[str, int]
    retired: dict[str, int]
    parent: Manifest | None


def release_version(storage: Storage, given: ReleaseInput) -> Released:
    """Release a version, unless the newest one already holds exactly this.

    Nothing is visible before the manifest, which is written last; the remains of a release that
    was killed are removed first.

    Raises:
        IntegrityError: when an image would not be accounted for.
        StorageError, WorkspaceError: when it cannot be written.
    """
    settled = _settle(storage, given)
    tables = {
        LEDGER: to_parquet(LedgerRow, settled.rows),
        CANDIDATES: to_parquet(CandidateRow, settled.candidates),
    }
    contradictions = settled.merges.contradictions
    if _is_unchanged(settled, tables, given):
        return Released(
            manifest=settled.parent,  # type: ignore[arg-type]
            is_new=False,
            contradictions=contradictions,
        )
    manifest = _write(storage, given, settled, tables)
    return Released(manifest=manifest, is_new=True, contradictions=contradictions)


def _settle(storage: Storage, given: ReleaseInput) -> _Settled:
    parent = latest_manifest(storage, given.recipe.name)
    log = ReviewFolder(storage=storage, dataset=given.recipe.name).decisions()
    candidates = with_decisions(given.candidates, log)
    counts = Counter(name for row in given.rows if (name := hopeful_identity(row)) is not None)
    for name in parent.identities if parent else ():
        if name in counts:
            counts[name] += _KNOWN_NAME_WEIGHT
    merges = merge(counts, [*candidates, *latest(log).values()], given.recipe.inter.pending)
    verdicts = Verdicts(canonical=dict(merges.canonical), held=dict(merges.held))
    rows = settle(given.rows, verdicts, given.recipe.intra.min_photos)
    check_complete(len(given.images), rows)
    identities, retired = assign_class_indices(
        (row.identity for row in rows if row.identity is not None), parent
    )
    return _Settled(
        rows=rows,
        candidates=candidates,
        merges=merges,
        identities=identities,
        retired=retired,
        parent=parent,
    )


def _is_unchanged(settled: _Settled, tables: Mapping[str, bytes], given: ReleaseInput) -> bool:
    """Whether the newest version was made from the same; shards follow from what is compared."""
    parent = settled.parent
    return parent is not None and (
        (parent.recipe_digest, parent.models, parent.identities)
        == (given.recipe.digest(), given.models, settled.identities)
        and all(parent.files[name] == _sha256(data) for name, data in tables.items())
    )


def _write(
    storage: Storage, given: ReleaseInput, settled: _Settled, tables: Mapping[str, bytes]
) -> Manifest:
    version = next_version(storage, given.recipe.name)
    folder = f"versions/{version}"
    storage.remove(folder)
    shards = write_shards(
        _samples(storage, given, settled),
        ShardConfig(
            max_images=given.recipe.shards.max_images,
            image_format=ImageFormat(given.recipe.shards.format),
        ),
        lambda name: storage.open_write(f"{folder}/{name}"),
    )
    counts = {"images": len(settled.rows), **count_outcomes(settled.rows)}
    report = report_data(_report_input(storage, version, given, settled))
    files = {
        **tables,
        REPORT: render_report(report),
        CROISSANT: render_card(_card(report, given, settled, shards)),
    }
    for name, data in files.items():
        storage.write(f"{folder}/{name}", data)
    manifest = _manifest(version, given, settled, shards, files, counts)
    storage.write(f"{folder}/{MANIFEST}", manifest.to_json())
    return manifest


def _report_input(
    storage: Storage, version: str, given: ReleaseInput, settled: _Settled
) -> ReportInput:
    return ReportInput(
        version=version,
        parent=settled.parent.version if settled.parent else None,
        code_version=given.code_version,
        recipe=given.recipe,
        images=given.images,
        rows=settled.rows,
        candidates=settled.candidates,
        contradictions=settled.merges.contradictions,
        measured=given.measured,
        models=given.models,
        calibration=given.intra.facts["calibration"],
        candidate_threshold=given.inter.facts["threshold"],
        copies=given.intra.facts["copies"],
        crops=CropReader(storage, given.faces),
    )


def _manifest(
    version: str,
    given: ReleaseInput,
    settled: _Settled,
    shards: Sequence[ShardInfo],
    files: Mapping[str, bytes],
    counts: dict[str, int],
) -> Manifest:
    entries = tuple(
        ShardEntry(path=s.name, images=s.images, size_bytes=s.size_bytes, sha256=s.sha256)
        for s in shards
    )
    digests = {name: _sha256(data) for name, data in files.items()}
    return Manifest(
        version=version,
        parent=settled.parent.version if settled.parent else None,
        digest=content_digest(entries, digests, settled.identities, given.models),
        recipe=given.recipe.model_dump(mode="json"),
        recipe_digest=given.recipe.digest(),
        code_version=given.code_version,
        models=given.models,
        counts=counts,
        shards=entries,
        files=digests,
        identities=settled.identities,
        retired=settled.retired,
    )


def _samples(storage: Storage, given: ReleaseInput, settled: _Settled) -> Iterator[Sample]:
    """Samples in order of face id: image digests are random, so every shard mixes classes."""
    by_face = {
        row.face_id: (image, row)
        for image, row in zip(given.images, settled.rows, strict=True)
        if row.identity is not None
    }
    for part in given.faces:
        table = storage.read_columns(part.path(FACES), FaceRecord.SCHEMA.names)
        shipped = [face_id in by_face for face_id in table.column("face_id").to_pylist()]
        for face in from_table(FaceRecord, table.filter(pa.array(shipped))):
            image, row = by_face[face.face_id]
            yield sample_of(image, face, row, settled.identities[row.identity or ""])


def _card(
    report: ReportData, given: ReleaseInput, settled: _Settled, shards: Sequence[ShardInfo]
) -> CardData:
    shipped = [
        image
        for image, row in zip(given.images, settled.rows, strict=True)
        if row.identity is not None
    ]
    decided = sum(row.decision != "pending" for row in settled.candidates)
    return CardData(
        name=given.recipe.name,
        version=int(report.version.rsplit("-v", 1)[1]),
        images=len(shipped),
        identities=len(settled.identities),
        shards=shards,
        image_format=ImageFormat(given.recipe.shards.format),
        sources=dict(Counter(image.source for image in shipped)),
        licences=report.licences,
        decisions=decided,
        limitations=list_unknowns(report),
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
