"""The release stage: decisions applied, the audit heeded, and a version made if it would differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cleaning.export.exclusion_facts import ExclusionFacts
from cleaning.export.wording import public_name
from cleaning.identity.merge import Contradiction
from cleaning.stages.audit import Audit, check_noise
from cleaning.stages.content import Findings, VersionContent, decide_content
from cleaning.stages.exclusion import certificate, find_remaining
from cleaning.stages.exclusion_report import exclusion_facts
from cleaning.stages.version_folder import ReleaseInput, sha256_of, write_version
from facedata.exclusion import ExclusionRow
from facedata.ledger import check_complete
from facedata.records import LedgerRow, to_parquet
from facedata.review import CandidateRow
from facedata.storage import Storage
from facedata.versions import CANDIDATES, EXCLUSION, LEDGER, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A version, and whether this run made it or found that nothing had changed."""

    manifest: Manifest
    is_new: bool
    contradictions: tuple[Contradiction, ...]
    audit: Audit | None
    exclusion: ExclusionFacts | None


def release_version(storage: Storage, given: ReleaseInput) -> Released:
    """Release a version, unless the newest one already holds exactly this.

    Nothing is visible before the manifest, which is written last; the remains of a release that
    was killed are removed first.

    Raises:
        IntegrityError: when an image would not be accounted for.
        QualityError: when the audit finds more wrong photos than the recipe allows, or is not
            answered yet.
        StorageError, WorkspaceError: when it cannot be written.
    """
    content = decide_content(
        storage,
        Findings(
            recipe=given.recipe,
            judged=given.judged,
            candidates=given.candidates,
            measured=given.measured,
            copies=given.copies,
            exclusion=given.exclusion,
        ),
    )
    content = replace(content, candidates=_without_addresses(content.candidates))
    check_complete(len(given.images), content.rows)
    check_noise(content.audit, given.recipe.name)
    tables = {
        LEDGER: to_parquet(LedgerRow, content.rows),
        CANDIDATES: to_parquet(CandidateRow, content.candidates),
    }
    exclusion = _exclusion(storage, given, content)
    if exclusion is not None:
        tables[EXCLUSION] = to_parquet(ExclusionRow, exclusion.rows)
    if _is_unchanged(content, tables, given):
        manifest: Manifest = content.parent  # type: ignore[assignment]
    else:
        manifest = write_version(storage, given, content, tables, exclusion)
    return Released(
        manifest=manifest,
        is_new=manifest is not content.parent,
        contradictions=content.merges.contradictions,
        audit=content.audit,
        exclusion=exclusion,
    )


def _exclusion(
    storage: Storage, given: ReleaseInput, content: VersionContent
) -> ExclusionFacts | None:
    """Who is out and why, and how near the rest comes; None when no set is excluded."""
    if given.exclusion is None:
        return None
    rows = [
        *certificate(given.exclusion, content.excluded, given.judged.rows, content.rows),
        *find_remaining(storage, content.rows, given.measured, given.excluded_sets),
    ]
    return exclusion_facts(given.exclusion, rows, content)


def _without_addresses(candidates: Sequence[CandidateRow]) -> list[CandidateRow]:
    """Who decided, as a version tells it: the log keeps the whole address."""
    return [
        row if row.decided_by is None else replace(row, decided_by=public_name(row.decided_by))
        for row in candidates
    ]


def _is_unchanged(
    content: VersionContent, tables: Mapping[str, bytes], given: ReleaseInput
) -> bool:
    """Whether the newest version was made from the same; shards follow from what is compared."""
    parent = content.parent
    return parent is not None and (
        (parent.recipe_digest, parent.models, parent.identities)
        == (given.recipe.digest(), given.models, content.identities)
        and all(parent.files.get(name) == sha256_of(data) for name, data in tables.items())
    )
