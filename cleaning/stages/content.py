"""What a version will hold, before any of it is written: every decision of people applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cleaning.identity.merge import DecidedPair, Merges, merge
from cleaning.review.decisions import INFERRED, latest, latest_photos, with_decisions
from cleaning.stages.audit import Audit, AuditFrame, audit_of
from cleaning.stages.measured import Measured
from cleaning.stages.photo_decisions import (
    Judged,
    apply_measured,
    decisions_at_release,
    rejected_faces,
)
from cleaning.stages.review_folder import ReviewFolder
from cleaning.stages.settle import Verdicts, hopeful_identity, settle
from facedata.recipe import Recipe
from facedata.records import LedgerRow
from facedata.review import PENDING, CandidateRow, Kind, PhotoDecision
from facedata.storage import Storage
from facedata.versions import Manifest, assign_class_indices, latest_manifest

# Outweighs any number of faces: an identity that already has a class index keeps its name.
_KNOWN_NAME_WEIGHT = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the stages found, before decisions about identities and of the audit."""

    recipe: Recipe
    judged: Judged
    """The ledger as the inter-class stage saw it."""
    candidates: Sequence[CandidateRow]
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionContent:
    """The content of a version; ``rows`` are aligned with the images that came in."""

    rows: list[LedgerRow]
    candidates: list[CandidateRow]
    merges: Merges
    identities: dict[str, int]
    retired: dict[str, int]
    parent: Manifest | None
    audit: Audit | None


def decide_content(storage: Storage, found: Findings) -> VersionContent:
    """Apply what people decided so far.

    The audit's decisions come last and on top: its sample is drawn from the photos that would be
    released without them, so that finding a wrong photo never changes what is sampled.
    """
    name = found.recipe.name
    folder = ReviewFolder(storage=storage, dataset=name)
    parent = latest_manifest(storage, name)
    log = folder.decisions()
    candidates = with_decisions(found.candidates, log)
    pairs: list[DecidedPair] = [*own_answers(candidates), *latest(log).values()]
    merges = merge(_face_counts(found.judged.rows, parent), pairs, found.recipe.inter.pending)
    photo_log = decisions_at_release(folder.photo_decisions(), found.judged.seen)
    before = _settle(found, merges, [row for row in photo_log if row.kind != Kind.AUDIT])
    frame = AuditFrame(
        rows=found.judged.rows,
        settled=before,
        options=found.recipe.release,
        seed=found.recipe.seed,
    )
    rows = _settle(found, merges, photo_log)
    identities, retired = assign_class_indices(
        (row.identity for row in rows if row.identity is not None), parent
    )
    return VersionContent(
        rows=rows,
        candidates=candidates,
        merges=merges,
        identities=identities,
        retired=retired,
        parent=parent,
        audit=audit_of(frame, photo_log),
    )


def own_answers(candidates: Iterable[CandidateRow]) -> list[CandidateRow]:
    """The candidates with people's own answers; what follows from them the merge works out."""
    return [
        replace(row, decision=PENDING) if row.decided_by == INFERRED else row for row in candidates
    ]


def _face_counts(rows: Iterable[LedgerRow], parent: Manifest | None) -> Counter[str]:
    counts = Counter(name for row in rows if (name := hopeful_identity(row)) is not None)
    for name in parent.identities if parent else ():
        if name in counts:
            counts[name] += _KNOWN_NAME_WEIGHT
    return counts


def _settle(found: Findings, merges: Merges, decisions: Sequence[PhotoDecision]) -> list[LedgerRow]:
    verdicts = Verdicts(
        canonical=dict(merges.canonical),
        held=dict(merges.held),
        rejected=rejected_faces(decisions),
    )
    audited = [row for row in latest_photos(decisions).values() if row.kind == Kind.AUDIT]
    rows = apply_measured(found.judged.rows, audited, found.measured)
    return settle(rows, verdicts, found.recipe.intra.min_photos)
