"""Questions whether photos show an identity: grids of doubtful photos, and the audit's sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from cleaning.review.borderline import pick_borderline
from cleaning.review.items import AuditItem, GridItem, PhotoView, Side
from cleaning.stages.question_context import QuestionContext
from facedata.ledger import Reason
from facedata.records import LedgerRow
from facedata.review import PENDING, Kind

PHOTOS_PER_GRID = 18

_HELD = (Reason.NO_MAIN_CLUSTER, Reason.TAKEN_OVER)
_NEAR_THE_CUT = (Reason.MAIN_CLUSTER, Reason.READMITTED, Reason.OUTLIER)
_WHY_HELD = "The photos under this name do not agree on one person."
_WHY_MIXED = "Reviewers saw more than one person in this gallery."
_WHY_NEAR = "These photos are near the limit."


def grid_items(context: QuestionContext) -> list[GridItem]:
    """Grids of held identities, of identities called mixed, and of photos near the cut."""
    grids: list[GridItem] = []
    for identity, rows in _held(context).items():
        nobody = Side(identity=identity, photos=len(rows), faces=())
        grids.extend(_grids(context, nobody, rows, _WHY_HELD))
    for identity in sorted(context.opinions.mixed):
        rows = [context.material.rows[number] for number in context.sides.rows(identity)]
        grids.extend(_grids(context, context.sides.side(identity), rows, _WHY_MIXED))
    for identity, rows in _borderline(context).items():
        reference = context.sides.side(identity, without={row.face_id or "" for row in rows})
        grids.extend(_grids(context, reference, rows, _WHY_NEAR))
    out = context.material.excluded
    return [grid for grid in grids if grid.reference.identity not in out][: context.wishes.budget]


def audit_items(context: QuestionContext) -> list[AuditItem]:
    """The photos of the audit's sample that nobody has judged."""
    if context.audit is None:
        return []
    # Photos that a grid asks about too are not left out: that would bend the sample.
    waiting = context.asked.waiting(Kind.AUDIT)
    items = [
        AuditItem(
            key="",
            reference=context.sides.side(photo.identity, without={photo.face_id}),
            photo=PhotoView(
                image_id=photo.image_id,
                face_id=photo.face_id,
                similarity=photo.similarity,
                kept=True,
            ),
        )
        for photo in context.audit.photos
        if photo.answer == PENDING and (photo.image_id, photo.identity) not in waiting
    ]
    return items[: context.wishes.budget]


def _held(context: QuestionContext) -> dict[str, list[LedgerRow]]:
    return _by_identity(
        row for row in context.material.rows if row.reason in _HELD and row.face_id is not None
    )


def _borderline(context: QuestionContext) -> dict[str, list[LedgerRow]]:
    """The photos nearest to the cut, where the identity has others to compare them with."""
    lowest, highest = context.material.doubtful
    rows = [
        row
        for row in context.material.rows
        if row.reason in _NEAR_THE_CUT
        and row.similarity is not None
        and lowest < row.similarity < highest
    ]
    similarity = np.array([row.similarity for row in rows], np.float64)
    kept = np.array([row.identity is not None for row in rows], np.bool_)
    budget = context.wishes.borderline
    picked = pick_borderline(similarity, kept, context.material.cut, budget)
    found = _by_identity(rows[number] for number in picked)
    return {
        identity: chosen
        for identity, chosen in found.items()
        if context.sides.photos(identity) > len(chosen)
    }


def _by_identity(rows: Iterable[LedgerRow]) -> dict[str, list[LedgerRow]]:
    grouped: dict[str, list[LedgerRow]] = {}
    for row in rows:
        grouped.setdefault(row.identity or row.claimed_identity, []).append(row)
    return dict(sorted(grouped.items()))


def _grids(
    context: QuestionContext, reference: Side, rows: Sequence[LedgerRow], why: str
) -> list[GridItem]:
    """The photos nobody was asked about yet, a screen's worth at a time."""
    waiting = context.asked.waiting(Kind.PHOTOS)
    photos = [
        PhotoView(
            image_id=row.image_id,
            face_id=row.face_id or "",
            similarity=row.similarity,
            kept=row.identity is not None,
        )
        for row in rows
        if (row.image_id, reference.identity) not in waiting
        and not _is_decided(context, row.image_id, reference.identity)
    ]
    return [
        GridItem(
            key="",
            reference=reference,
            photos=tuple(photos[start : start + PHOTOS_PER_GRID]),
            why=why,
        )
        for start in range(0, len(photos), PHOTOS_PER_GRID)
    ]


def _is_decided(context: QuestionContext, image_id: str, identity: str) -> bool:
    decision = context.decided_photos.get((image_id, identity))
    return decision is not None and decision.decision != PENDING
