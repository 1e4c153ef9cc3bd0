"""The folder of a version: its shards, tables, report and card, and the manifest over them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from cleaning.export.croissant import CardData, render_card
from cleaning.export.exclusion_facts import ExclusionFacts
from cleaning.export.report import ReportData, list_unknowns, render_report
from cleaning.export.samples import Sample, sample_of
from cleaning.export.shards import ImageFormat, ShardConfig, ShardInfo, write_shards
from cleaning.stages.content import VersionContent
from cleaning.stages.copies import CopyPair
from cleaning.stages.crops import CropReader
from cleaning.stages.excluded_set import ExcludedSet
from cleaning.stages.exclusion import Exclusion
from cleaning.stages.faces import FACES
from cleaning.stages.measured import Measured
from cleaning.stages.photo_decisions import Judged
from cleaning.stages.report import ReportInput, report_data
from cleaning.stages.review_folder import ReviewFolder
from facedata.ledger import count_outcomes
from facedata.recipe import Recipe
from facedata.records import FaceRecord, ImageRecord, from_table, provenance_parquet
from facedata.review import CandidateRow
from facedata.stages import StageResult
from facedata.storage import Storage
from facedata.versions import (
    CROISSANT,
    MANIFEST,
    PROVENANCE,
    REPORT,
    IdentityListFacts,
    Manifest,
    ShardEntry,
    content_digest,
    next_version,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseInput:
    """All that a release is made from."""

    recipe: Recipe
    code_version: str
    models: dict[str, str]
    images: Sequence[ImageRecord]
    judged: Judged
    """The ledger as the inter-class stage saw it, row-aligned with ``images``."""
    intra: StageResult
    inter: StageResult
    candidates: Sequence[CandidateRow]
    faces: Sequence[StageResult]
    measured: Measured
    copies: Sequence[CopyPair] = ()
    exclusion: Exclusion | None = None
    excluded_sets: Sequence[ExcludedSet] = ()
    """The sets that the exclusion looked at."""
    identity_lists: tuple[IdentityListFacts, ...] = ()
    """Whose crawling brought the images."""


def write_version(
    storage: Storage,
    given: ReleaseInput,
    content: VersionContent,
    tables: Mapping[str, bytes],
    exclusion: ExclusionFacts | None,
) -> Manifest:
    """Write the next version's folder and return its manifest, which is written last.

    ``tables`` are files of the version by name, as they are to be written. The remains of a
    release that was killed are removed first.

    Raises:
        StorageError, WorkspaceError: when it cannot be written.
    """
    version = next_version(storage, given.recipe.name)
    folder = f"versions/{version}"
    storage.remove(folder)
    shards = write_shards(
        _samples(storage, given, content),
        ShardConfig(
            max_images=given.recipe.shards.max_images,
            image_format=ImageFormat(given.recipe.shards.format),
        ),
        lambda name: storage.open_write(f"{folder}/{name}"),
    )
    counts = {"images": len(content.rows), **count_outcomes(content.rows)}
    report = report_data(
        replace(_report_input(storage, version, given, content), exclusion=exclusion)
    )
    files = {
        **tables,
        PROVENANCE: provenance_parquet(given.images),
        REPORT: render_report(report),
        CROISSANT: render_card(_card(report, given, content, shards)),
    }
    for name, data in files.items():
        storage.write(f"{folder}/{name}", data)
    manifest = _manifest(version, given, content, shards, files, counts)
    storage.write(f"{folder}/{MANIFEST}", manifest.to_json())
    return manifest


def _report_input(
    storage: Storage, version: str, given: ReleaseInput, content: VersionContent
) -> ReportInput:
    return ReportInput(
        version=version,
        parent=content.parent.version if content.parent else None,
        code_version=given.code_version,
        recipe=given.recipe,
        images=given.images,
        rows=content.rows,
        candidates=content.candidates,
        contradictions=content.merges.contradictions,
        measured=given.measured,
        models=given.models,
        calibration=given.intra.facts["calibration"],
        candidate_threshold=given.inter.facts["threshold"],
        copies=given.intra.facts["copies"],
        crops=CropReader(storage, given.faces),
        review=ReviewFolder(storage=storage, dataset=given.recipe.name),
        audit=content.audit.facts() if content.audit else None,
    )


def _manifest(
    version: str,
    given: ReleaseInput,
    content: VersionContent,
    shards: Sequence[ShardInfo],
    files: Mapping[str, bytes],
    counts: dict[str, int],
) -> Manifest:
    entries = tuple(
        ShardEntry(path=s.name, images=s.images, size_bytes=s.size_bytes, sha256=s.sha256)
        for s in shards
    )
    digests = {name: sha256_of(data) for name, data in files.items()}
    return Manifest(
        version=version,
        parent=content.parent.version if content.parent else None,
        digest=content_digest(entries, digests, content.identities, given.models),
        recipe=given.recipe.model_dump(mode="json"),
        recipe_digest=given.recipe.digest(),
        code_version=given.code_version,
        models=given.models,
        counts=counts,
        shards=entries,
        files=digests,
        identities=content.identities,
        retired=content.retired,
        identity_lists=given.identity_lists,
    )


def _samples(storage: Storage, given: ReleaseInput, content: VersionContent) -> Iterator[Sample]:
    """Samples in order of face id: image digests are random, so every shard mixes classes."""
    by_face = {
        row.face_id: (image, row)
        for image, row in zip(given.images, content.rows, strict=True)
        if row.identity is not None
    }
    for part in given.faces:
        table = storage.read_columns(part.path(FACES), FaceRecord.SCHEMA.names)
        shipped = [face_id in by_face for face_id in table.column("face_id").to_pylist()]
        for face in from_table(FaceRecord, table.filter(pa.array(shipped))):
            image, row = by_face[face.face_id]
            yield sample_of(image, face, row, content.identities[row.identity or ""])


def _card(
    report: ReportData, given: ReleaseInput, content: VersionContent, shards: Sequence[ShardInfo]
) -> CardData:
    shipped = [
        image
        for image, row in zip(given.images, content.rows, strict=True)
        if row.identity is not None
    ]
    decided = sum(row.decision != "pending" for row in content.candidates)
    return CardData(
        name=given.recipe.name,
        version=int(report.version.rsplit("-v", 1)[1]),
        images=len(shipped),
        identities=len(content.identities),
        shards=shards,
        image_format=ImageFormat(given.recipe.shards.format),
        sources=dict(Counter(image.source for image in shipped)),
        licences=report.licences,
        decisions=decided,
        exclusions=report.exclusion.in_words() if report.exclusion else (),
        limitations=list_unknowns(report),
    )


def sha256_of(data: bytes) -> str:
    """Return the digest by which a manifest names a file, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
