"""What the exclusion means for a version: who is out, and the certificate that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from cleaning.identity.join_between import nearest_pair
from cleaning.stages.exclude import FINDINGS, NAMES, ExcludedName, face_rows, labelled
from cleaning.stages.excluded_set import ExcludedSet
from cleaning.stages.measured import Measured
from cleaning.stages.members import members_of
from cleaning.stages.settle import hopeful_identity
from facedata.exclusion import ExclusionRow, How
from facedata.ledger import Reason
from facedata.names import name_key
from facedata.records import LedgerRow, to_parquet
from facedata.review import CandidateRow, PairEvidence
from facedata.stages import StageOutput, StageResult, digest_of, run_stage, stage_key
from facedata.storage import Storage

P = TypeVar("P", CandidateRow, PairEvidence)

_REMAINING_STAGE = "remaining"
_REMAINING_VERSION = 1
_REMAINING = "remaining.parquet"
_REASON_OF = {How.NAME: Reason.EXCLUDED_NAME, How.FACE: Reason.EXCLUDED_FACE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """What the exclusion stage found: ties, all excluded names, the threshold, facts per set."""

    findings: Sequence[ExclusionRow]
    names: Sequence[ExcludedName]
    threshold: float
    is_calibrated: bool
    sets: Sequence[Mapping[str, Any]]

    def identities(self) -> dict[str, Reason]:
        """Identities that are out as a whole; a name is told rather than a face."""
        found: dict[str, Reason] = {}
        for how in (How.FACE, How.NAME):
            found.update((row.identity, _REASON_OF[how]) for row in self.findings if row.how == how)
        return found

    def images(self) -> frozenset[str]:
        """Images that are out, by id."""
        return frozenset(row.image_id for row in self.findings if row.image_id is not None)

    def named(self, identities: Iterable[str]) -> dict[str, Reason]:
        """Those of some identities that have an excluded name."""
        keys = {name.key for name in self.names}
        return {
            identity: Reason.EXCLUDED_NAME for identity in identities if name_key(identity) in keys
        }

    def ties(self) -> dict[str, ExclusionRow]:
        """What puts each identity out: the first finding by name, or else by face."""
        found: dict[str, ExclusionRow] = {}
        for how in (How.NAME, How.FACE):
            for row in self.findings:
                if row.how == how:
                    found.setdefault(row.identity, row)
        return found


def load_exclusion(storage: Storage, result: StageResult) -> Exclusion:
    """Read the exclusion stage's result."""
    return Exclusion(
        findings=storage.read_records(result.path(FINDINGS), ExclusionRow),
        names=storage.read_records(result.path(NAMES), ExcludedName),
        threshold=float(result.facts["threshold"]),
        is_calibrated=result.facts["calibration"] is not None,
        sets=result.facts["sets"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedPeople:
    """Everybody who is out: ``reasons`` by identity, and ``via`` whom those are that are out only
    because they were merged with somebody who is."""

    reasons: Mapping[str, Reason]
    via: Mapping[str, str]


def with_merged(direct: Mapping[str, Reason], canonical: Mapping[str, str]) -> ExcludedPeople:
    """Add everybody who is one person with somebody who is out.

    ``canonical`` maps identities to the name of their group.
    """
    first: dict[str, str] = {}
    # A name says more than a face.
    for name in sorted(direct, key=lambda name: (direct[name] != Reason.EXCLUDED_NAME, name)):
        first.setdefault(canonical.get(name, name), name)
    via = {
        name: first[group]
        for name, group in canonical.items()
        if group in first and name not in direct
    }
    merged = {name: direct[other] for name, other in via.items()}
    return ExcludedPeople(reasons={**direct, **merged}, via=via)


def worth_asking(rows: Sequence[P], exclusion: Exclusion | None) -> list[P]:
    """Pairs of identities but those of two who are out already.

    One with somebody who is out stays: whoever is the same person goes too.
    """
    out = exclusion.identities().keys() if exclusion else frozenset()
    return [row for row in rows if not {row.identity_a, row.identity_b} <= out]


def certificate(
    exclusion: Exclusion,
    people: ExcludedPeople,
    judged: Sequence[LedgerRow],
    settled: Sequence[LedgerRow],
) -> list[ExclusionRow]:
    """Everybody and every picture kept out, with what the version lost by it.

    ``judged`` and ``settled`` are the ledger before and after, row-aligned. Nobody is listed who
    came in with no photo that could have shipped, unless by name.
    """
    lost: Counter[str] = Counter()
    lost_images: Counter[tuple[str, str]] = Counter()
    shown: set[str] = set()
    for before, after in zip(judged, settled, strict=True):
        identity = hopeful_identity(before)
        if identity is None:
            continue
        shown.add(identity)
        lost[identity] += after.reason in (Reason.EXCLUDED_NAME, Reason.EXCLUDED_FACE)
        lost_images[before.image_id, identity] += after.reason == Reason.EXCLUDED_PHOTO
    rows = [
        replace(
            row,
            photos=lost_images[row.image_id or "", row.identity]
            if row.how == How.PHOTO
            else lost[row.identity],
        )
        for row in exclusion.findings
    ]
    merged = _merged_rows(exclusion, people, shown)
    return [*rows, *(replace(row, photos=lost[row.identity]) for row in merged)]


def _merged_rows(
    exclusion: Exclusion, people: ExcludedPeople, shown: set[str]
) -> Iterator[ExclusionRow]:
    ties = exclusion.ties()
    names: dict[str | None, ExcludedName] = {name.key: name for name in reversed(exclusion.names)}
    for identity, via in sorted(people.via.items()):
        # Somebody who is out by name alone did not come in, or there were a finding.
        tie = ties.get(via) or names.get(name_key(via))
        if identity in shown and tie is not None:
            yield ExclusionRow(
                how=How.MERGED,
                identity=identity,
                excluded_set=tie.excluded_set,
                excluded_identity=tie.excluded_identity,
                similarity=None,
                face_id=None,
                excluded_face_id=None,
                via=via,
            )


def find_remaining(
    storage: Storage,
    settled: Sequence[LedgerRow],
    measured: Measured,
    sets: Sequence[ExcludedSet],
) -> list[ExclusionRow]:
    """How near the faces that ship come to each excluded set, exactly; found again when stored."""
    ships = members_of(settled, measured, lambda row: row.identity)
    inputs = {
        "ships": digest_of([ships.names, ships.face_ids, ships.identity.tolist()]),
        "sets": [excluded.inputs for excluded in sets],
    }

    def compute() -> StageOutput:
        rows = [row for excluded in sets for row in _nearest(excluded)]
        files = {_REMAINING: to_parquet(ExclusionRow, rows)}
        return StageOutput(files=files, counts={"sets": len(rows)})

    def _nearest(excluded: ExcludedSet) -> list[ExclusionRow]:
        gallery = excluded.gallery
        pairs = nearest_pair(labelled(ships), labelled(gallery))
        return face_rows(How.REMAINING, excluded.name, (ships, gallery), pairs)

    key = stage_key(_REMAINING_STAGE, _REMAINING_VERSION, {}, inputs)
    result = run_stage(storage, _REMAINING_STAGE, key, compute)
    return storage.read_records(result.path(_REMAINING), ExclusionRow)
