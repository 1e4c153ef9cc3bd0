"""What a version will hold, before any of it is written: every decision of people applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cleaning.identity.merge import DecidedPair, Merges, merge
from cleaning.review.decisions import INFERRED, latest, latest_photos, with_decisions
from cleaning.stages.audit import Audit, AuditFrame, audit_of
from cleaning.stages.copies import CopyPair
from cleaning.stages.exclusion import ExcludedPeople, Exclusion, with_merged
from cleaning.stages.measured import Measured
from cleaning.stages.photo_decisions import (
    Judged,
    apply_measured,
    decisions_at_release,
    rejected_faces,
)
from cleaning.stages.review_folder import ReviewFolder
from cleaning.stages.settle import Verdicts, hopeful_identity, settle
from facedata.ledger import Reason
from facedata.recipe import Recipe
from facedata.records import LedgerRow
from facedata.review import PENDING, CandidateRow, Kind, PhotoDecision
from facedata.storage import Storage
from facedata.versions import Manifest, assign_class_indices, latest_manifest

# Outweighs any number of faces: an identity that already has a class index keeps its name.
_KNOWN_NAME_WEIGHT = 1 << 40
_EXCLUDED_WEIGHT = 1 << 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the stages found, before decisions about identities and of the audit."""

    recipe: Recipe
    judged: Judged
    """The ledger as the inter-class stage saw it."""
    candidates: Sequence[CandidateRow]
    measured: Measured
    copies: Sequence[CopyPair] = ()
    exclusion: Exclusion | None = None
    """None when the recipe excludes no set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionContent:
    """The content of a version; ``rows`` are aligned with the images that came in."""

    rows: list[LedgerRow]
    candidates: list[CandidateRow]
    merges: Merges
    excluded: ExcludedPeople
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
    counts = _face_counts(found.judged.rows, parent)
    direct = _weigh_excluded(found.exclusion, counts, pairs)
    merges = merge(counts, pairs, found.recipe.inter.pending)
    excluded = with_merged(direct, merges.canonical)
    people = _People(merges=merges, excluded=excluded)
    photo_log = decisions_at_release(folder.photo_decisions(), found.judged.seen)
    before = _settle(found, people, [row for row in photo_log if row.kind != Kind.AUDIT])
    frame = AuditFrame(
        rows=found.judged.rows,
        settled=before,
        options=found.recipe.release,
        seed=found.recipe.seed,
    )
    rows = _settle(found, people, photo_log)
    identities, retired = assign_class_indices(
        (row.identity for row in rows if row.identity is not None), parent
    )
    return VersionContent(
        rows=rows,
        candidates=candidates,
        merges=merges,
        excluded=excluded,
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


def _weigh_excluded(
    exclusion: Exclusion | None, counts: Counter[str], pairs: Iterable[DecidedPair]
) -> dict[str, Reason]:
    """Who is out for a reason of their own, with a weight that makes them the larger side.

    With ``hold-out`` it is then the other side of an undecided pair that waits. Names that only
    decisions know count too: whoever was called the same person as an excluded one is out,
    whether or not that one came in again.
    """
    if exclusion is None:
        return {}
    decided = {name for pair in pairs for name in (pair.identity_a, pair.identity_b)}
    direct = {**exclusion.named(decided - counts.keys()), **exclusion.identities()}
    for name in direct:
        counts[name] += _EXCLUDED_WEIGHT
    return direct


@dataclass(frozen=True, slots=True, kw_only=True)
class _People:
    """What is known about identities before photos are settled."""

    merges: Merges
    excluded: ExcludedPeople


def _settle(
    found: Findings, people: _People, decisions: Sequence[PhotoDecision]
) -> list[LedgerRow]:
    verdicts = Verdicts(
        canonical=dict(people.merges.canonical),
        held=dict(people.merges.held),
        rejected=rejected_faces(decisions),
        excluded=people.excluded.reasons,
        excluded_images=found.exclusion.images() if found.exclusion else frozenset(),
    )
    audited = [row for row in latest_photos(decisions).values() if row.kind == Kind.AUDIT]
    rows = apply_measured(found.judged.rows, audited, found.measured)
    drop = found.recipe.faces.near_duplicates == "drop"
    copies = [(pair.image_a, pair.image_b) for pair in found.copies] if drop else []
    return settle(rows, verdicts, found.recipe.intra.min_photos, copies)
