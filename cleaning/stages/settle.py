"""The last word on every image: people's decisions applied to what the cleaning found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from facedata.ledger import Outcome, Reason
from facedata.records import LedgerRow

Rows = list[LedgerRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What the review means for identities, by name.

    ``canonical`` maps merged-away identities to the one that stays; ``held`` names identities
    that wait, with the reason; ``rejected`` are faces, by id, and the identities that people said
    they do not show.
    """

    canonical: dict[str, str]
    held: dict[str, Reason]
    rejected: frozenset[tuple[str, str]] = field(default=frozenset())


def settle(rows: Sequence[LedgerRow], verdicts: Verdicts, min_photos: int) -> Rows:
    """Apply verdicts, then the rules that hold across identities; same order, same length.

    Merged identities take the name of the canonical one. Waiting identities are held. A face that
    was rejected under one name is rejected under all names of the person. An image shipped twice
    under one identity keeps its first row; a face claimed by two identities stays with the one
    that people confirmed, then with the more similar one. Identities with fewer than
    ``min_photos`` photos are held as a whole; single photos confirmed by a merge are kept.
    """
    rejected = {
        (face_id, verdicts.canonical.get(name, name)) for face_id, name in verdicts.rejected
    }
    settled = [_rejected_where(_with_verdict(row, verdicts), rejected) for row in rows]
    for rule in (_one_row_per_image, _one_identity_per_face, _enough_photos(min_photos)):
        settled = rule(settled)
    return settled


def _with_verdict(row: LedgerRow, verdicts: Verdicts) -> LedgerRow:
    identity = hopeful_identity(row)
    if identity is None:
        return row
    if identity in verdicts.held:
        return _refused(row, verdicts.held[identity])
    name = verdicts.canonical.get(identity, identity)
    return replace(row, identity=name)


def _rejected_where(row: LedgerRow, rejected: set[tuple[str, str]]) -> LedgerRow:
    """Without this, a photo dropped under one name would ship by its copy under another."""
    if row.reason == Reason.CONFIRMED or (row.face_id, row.identity) not in rejected:
        return row
    return _refused(row, Reason.REJECTED)


def hopeful_identity(row: LedgerRow) -> str | None:
    """The identity a row would ship under: its own, or the claimed one of a single photo."""
    if row.outcome in {Outcome.KEPT, Outcome.MOVED}:
        return row.identity
    return row.claimed_identity if row.reason == Reason.SINGLE_PHOTO else None


def _refused(row: LedgerRow, reason: Reason) -> LedgerRow:
    return replace(row, identity=None, outcome=reason.outcome.value, reason=reason.value)


def _one_row_per_image(rows: Rows) -> Rows:
    """The same image twice under one identity, which merging can bring about: keep the first."""
    seen: set[tuple[str, str]] = set()
    settled = []
    for row in rows:
        key = (row.image_id, row.identity or "")
        if row.identity is not None and key in seen:
            row = _refused(row, Reason.DUPLICATE)
        seen.add(key)
        settled.append(row)
    return settled


def _one_identity_per_face(rows: Rows) -> Rows:
    """One face under two identities: the one it is nearer to keeps it, ties by name."""
    best: dict[str, LedgerRow] = {}
    for row in _shipping(rows):
        other = best.get(row.face_id or "")
        if other is None or _claim_rank(row) < _claim_rank(other):
            best[row.face_id or ""] = row
    winners = {id(row) for row in best.values()}
    return [
        row
        if row.identity is None or id(row) in winners
        else _refused(row, Reason.SAME_FACE_CLAIMED_TWICE)
        for row in rows
    ]


def _claim_rank(row: LedgerRow) -> tuple[bool, float, str, str]:
    similarity = -1.0 if row.similarity is None else row.similarity
    return (row.reason != Reason.CONFIRMED, -similarity, row.identity or "", row.source_uri)


def _shipping(rows: Iterable[LedgerRow]) -> Iterable[LedgerRow]:
    return (row for row in rows if row.identity is not None)


def _enough_photos(min_photos: int) -> Callable[[Rows], Rows]:
    def rule(rows: Rows) -> Rows:
        sizes = Counter(row.identity for row in _shipping(rows))
        return [
            row if row.identity is None else _sized(row, sizes[row.identity] >= min_photos)
            for row in rows
        ]

    return rule


def _sized(row: LedgerRow, enough: bool) -> LedgerRow:
    if not enough:
        return _refused(row, Reason.SINGLE_PHOTO)
    if row.outcome == Outcome.HELD:
        reason = Reason.MERGED_PHOTO
        return replace(row, outcome=reason.outcome.value, reason=reason.value)
    return row
