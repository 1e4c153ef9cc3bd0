"""The last word on every image: people's decisions applied to what the cleaning found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cleaning.stages.contest import Claim, share_out
from facedata.ledger import Outcome, Reason
from facedata.records import LedgerRow

Rows = list[LedgerRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What the review means for identities, by name.

    ``canonical`` maps merged-away identities to the one that stays; ``held`` names identities
    that wait, with the reason; ``rejected`` are faces, by id, and the identities that people said
    they do not show. ``excluded`` are identities that must not ship, with the reason, and
    ``excluded_images`` images, by id.
    """

    canonical: dict[str, str]
    held: dict[str, Reason]
    rejected: frozenset[tuple[str, str]] = field(default=frozenset())
    excluded: Mapping[str, Reason] = field(default_factory=dict)
    excluded_images: frozenset[str] = field(default=frozenset())


def settle(
    rows: Sequence[LedgerRow],
    verdicts: Verdicts,
    min_photos: int,
    copies: Iterable[tuple[str, str]] = (),
) -> Rows:
    """Apply verdicts, then the rules that hold across identities; same order, same length.

    ``copies`` are pairs of images that are one picture and of which an identity ships only one.

    Excluded people and pictures are dropped first, also those that wait for people. Merged
    identities take the name of the canonical one. Waiting identities are held. A face that
    was rejected under one name is rejected under all names of the person. An image shipped twice
    under one identity keeps its first row, and so does a picture; a face claimed by two identities
    stays with the one that people confirmed, then with the more similar one. Identities with fewer
    than ``min_photos`` photos are held as a whole, and leave what others claim too to them (see
    ``contest``); single photos confirmed by a merge are kept.
    """
    rejected = {
        (face_id, verdicts.canonical.get(name, name)) for face_id, name in verdicts.rejected
    }
    settled = [_rejected_where(_with_verdict(row, verdicts), rejected) for row in rows]
    return _shared_out(_one_row_per_picture(_one_row_per_image(settled), copies), min_photos)


def _with_verdict(row: LedgerRow, verdicts: Verdicts) -> LedgerRow:
    identity = hopeful_identity(row)
    waiting = row.claimed_identity if row.outcome == Outcome.HELD else None
    excluded = verdicts.excluded.get(identity or waiting or "")
    if excluded is not None:
        return _refused(row, excluded)
    if identity is None:
        return row
    if row.image_id in verdicts.excluded_images:
        return _refused(row, Reason.EXCLUDED_PHOTO)
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


def _one_row_per_picture(rows: Rows, copies: Iterable[tuple[str, str]]) -> Rows:
    """Copies under one identity, which merging can bring about: keep the first."""
    alike: dict[str, set[str]] = defaultdict(set)
    for one, other in copies:
        alike[one].add(other)
        alike[other].add(one)
    kept: set[tuple[str, str]] = set()
    settled = []
    for row in rows:
        if row.identity is None or row.image_id not in alike:
            settled.append(row)
        elif any((image, row.identity) in kept for image in alike[row.image_id]):
            settled.append(_refused(row, Reason.NEAR_DUPLICATE))
        else:
            kept.add((row.image_id, row.identity))
            settled.append(row)
    return settled


def _shared_out(rows: Rows, min_photos: int) -> Rows:
    """Every face to one identity, ties by name, and none to identities with too few."""
    shipping = [number for number, row in enumerate(rows) if row.identity is not None]
    claims = [_claim(rows[number]) for number in shipping]
    shares = share_out(claims, min_photos)
    settled = list(rows)
    for place, (number, claim) in enumerate(zip(shipping, claims, strict=True)):
        owner = shares.owner.get(claim.face)
        if owner == place:
            settled[number] = _enough(rows[number])
        elif owner is None and claim.identity in shares.held:
            settled[number] = _refused(rows[number], Reason.SINGLE_PHOTO)
        else:
            settled[number] = _refused(rows[number], Reason.SAME_FACE_CLAIMED_TWICE)
    return settled


def _claim(row: LedgerRow) -> Claim:
    similarity = -1.0 if row.similarity is None else row.similarity
    rank = (row.reason != Reason.CONFIRMED, -similarity, row.identity or "", row.source_uri)
    return Claim(face=row.face_id or "", identity=row.identity or "", rank=rank)


def _enough(row: LedgerRow) -> LedgerRow:
    if row.outcome != Outcome.HELD:
        return row
    reason = Reason.MERGED_PHOTO
    return replace(row, outcome=reason.outcome.value, reason=reason.value)
