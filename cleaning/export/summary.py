"""What the ledger adds up to: per outcome, reason, source and identity, in one pass."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from facedata.ledger import Outcome, Reason
from facedata.records import LedgerRow

_WRONG_PERSON = (Reason.BELONGS_TO_OTHER, Reason.OUTLIER, Reason.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLine:
    """The images of one source, per outcome.

    ``wrong_person`` counts images judged not to show the claimed person (moved, an outlier, or
    rejected by people), ``judged`` those and the kept ones: their ratio is the source's noise.
    """

    source: str
    images: int
    kept: int
    moved: int
    dropped: int
    held: int
    wrong_person: int
    judged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityLine:
    """One identity: what came in under its name, and what the version holds under it.

    ``images`` = ``kept`` + ``moved_out`` + ``dropped`` + ``held``. ``in_version`` also counts
    photos moved or merged in. ``merged_into`` names the identity that took its kept photos.
    """

    identity: str
    images: int
    kept: int
    moved_out: int
    moved_in: int
    dropped: int
    held: int
    in_version: int
    merged_into: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Totals of a ledger; ``reasons`` in the order of ``ledger.Reason``, lines by name."""

    images: int
    outcomes: dict[Outcome, int]
    reasons: dict[Reason, int]
    sources: tuple[SourceLine, ...]
    identities: tuple[IdentityLine, ...]

    @property
    def images_out(self) -> int:
        """Images in the version."""
        return self.outcomes[Outcome.KEPT] + self.outcomes[Outcome.MOVED]

    @property
    def identities_in(self) -> int:
        """Identities that images came in under."""
        return sum(line.images > 0 for line in self.identities)

    @property
    def identities_out(self) -> int:
        """Identities with images in the version."""
        return sum(line.in_version > 0 for line in self.identities)


def summarise(rows: Iterable[LedgerRow]) -> Summary:
    """Add up a ledger; memory grows with identities and sources, not with rows."""
    by_source: Counter[tuple[str, Reason]] = Counter()
    by_claim: Counter[tuple[str, Outcome]] = Counter()
    final: Counter[tuple[str, Outcome]] = Counter()
    merged: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        reason = Reason(row.reason)
        by_source[row.source, reason] += 1
        by_claim[row.claimed_identity, reason.outcome] += 1
        if row.identity is None:
            continue
        final[row.identity, reason.outcome] += 1
        if reason.outcome is Outcome.KEPT:
            merged[row.claimed_identity][row.identity] += 1
    reasons = {
        reason: count
        for reason in Reason
        if (count := sum(n for (_, found), n in by_source.items() if found is reason))
    }
    names = sorted({name for name, _ in by_claim} | {name for name, _ in final})
    return Summary(
        images=sum(reasons.values()),
        outcomes={
            outcome: sum(n for reason, n in reasons.items() if reason.outcome is outcome)
            for outcome in Outcome
        },
        reasons=reasons,
        sources=tuple(
            _source_line(source, by_source) for source in sorted({name for name, _ in by_source})
        ),
        identities=tuple(_identity_line(name, by_claim, final, merged.get(name)) for name in names),
    )


def _source_line(source: str, counts: Counter[tuple[str, Reason]]) -> SourceLine:
    per_reason = {reason: counts[source, reason] for reason in Reason}
    per_outcome = {
        outcome: sum(n for reason, n in per_reason.items() if reason.outcome is outcome)
        for outcome in Outcome
    }
    wrong = sum(per_reason[reason] for reason in _WRONG_PERSON)
    return SourceLine(
        source=source,
        images=sum(per_reason.values()),
        kept=per_outcome[Outcome.KEPT],
        moved=per_outcome[Outcome.MOVED],
        dropped=per_outcome[Outcome.DROPPED],
        held=per_outcome[Outcome.HELD],
        wrong_person=wrong,
        judged=wrong + per_outcome[Outcome.KEPT],
    )


def _identity_line(
    name: str,
    claimed: Counter[tuple[str, Outcome]],
    final: Counter[tuple[str, Outcome]],
    kept_under: Counter[str] | None,
) -> IdentityLine:
    # The most common name; ties by name, so that the order of rows does not matter.
    main = min(kept_under, key=lambda other: (-kept_under[other], other)) if kept_under else name
    return IdentityLine(
        identity=name,
        images=sum(claimed[name, outcome] for outcome in Outcome),
        kept=claimed[name, Outcome.KEPT],
        moved_out=claimed[name, Outcome.MOVED],
        moved_in=final[name, Outcome.MOVED],
        dropped=claimed[name, Outcome.DROPPED],
        held=claimed[name, Outcome.HELD],
        in_version=final[name, Outcome.KEPT] + final[name, Outcome.MOVED],
        merged_into=None if main == name else main,
    )
