"""People's decisions about single photos, applied to what the cleaning inside identities found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from cleaning.review.decisions import latest_photos
from cleaning.stages.measured import Measured
from facedata.ledger import Reason
from facedata.records import LedgerRow
from facedata.review import Kind, PhotoAnswer, PhotoDecision
from facedata.stages import digest_of

# A file that cannot be used, or a copy of a photo that is judged itself: no answer changes that.
_SETTLED = frozenset(
    {
        Reason.EMPTY_FILE,
        Reason.UNREADABLE,
        Reason.TOO_LARGE,
        Reason.NO_FACE,
        Reason.FACE_TOO_SMALL,
        Reason.DUPLICATE,
        Reason.NEAR_DUPLICATE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The ledger after people's decisions about photos, row-aligned with the one before.

    ``changes`` names what the decisions changed, empty when nothing; ``seen`` is how many rows
    of the log were there.
    """

    rows: list[LedgerRow]
    changes: str
    seen: int


def judge(
    rows: Sequence[LedgerRow],
    log: Sequence[PhotoDecision],
    measured: Measured,
    seen: int | None = None,
) -> Judged:
    """Apply the decisions of the grids; those of the audit come at release.

    With ``seen`` only the first so many rows of the log count: a later step sees exactly what an
    earlier one saw, whatever was appended in between.
    """
    log = log[:seen]
    decisions = [row for row in log if row.kind != Kind.AUDIT]
    judged = apply_measured(rows, decisions, measured)
    changed = [
        [number, asdict(after)]
        for number, (before, after) in enumerate(zip(rows, judged, strict=True))
        if before != after
    ]
    # Rejected faces count beyond their own row: for copies that a merge brings together.
    rejected = sorted(rejected_faces(decisions))
    changes = digest_of([changed, rejected]) if changed or rejected else ""
    return Judged(rows=judged, changes=changes, seen=len(log))


def decisions_at_release(log: Sequence[PhotoDecision], seen: int) -> list[PhotoDecision]:
    """The grids' decisions that earlier steps saw, and all of the audit, in order of the log."""
    return [row for place, row in enumerate(log) if place < seen or row.kind == Kind.AUDIT]


def rejected_faces(decisions: Iterable[PhotoDecision]) -> frozenset[tuple[str, str]]:
    """Return the faces, by id, and the identities that people said they do not show."""
    return frozenset(
        (row.face_id, row.identity)
        for row in latest_photos(decisions).values()
        if row.decision == PhotoAnswer.WRONG and row.face_id
    )


def apply_measured(
    rows: Sequence[LedgerRow], decisions: Iterable[PhotoDecision], measured: Measured
) -> list[LedgerRow]:
    """``apply_photo_decisions``, where confirmed faces must be among the measured ones.

    Another detector numbers faces in another way: what was confirmed then is not found now.
    """
    latest = latest_photos(decisions).values()
    if not latest:
        return list(rows)
    ids = measured.face_ids()
    scores = dict(zip(ids, measured.column("det_score").tolist(), strict=True))
    found = [
        row
        for row in latest
        if row.decision != PhotoAnswer.RIGHT or not row.face_id or row.face_id in scores
    ]
    return [
        replace(row, det_score=scores[row.face_id])
        if row.identity is not None and row.face_id is not None and row.det_score is None
        else row
        for row in apply_photo_decisions(rows, found)
    ]


def apply_photo_decisions(
    rows: Sequence[LedgerRow], decisions: Iterable[PhotoDecision]
) -> list[LedgerRow]:
    """Apply the latest decision about each photo and identity; same order, same length.

    ``wrong`` drops the photo from that identity, as ``rejected``, whatever the cleaning made of
    it. ``right`` ships it under that identity: kept, as ``confirmed``, where it was claimed, and
    otherwise moved, as ``belongs_to_other``. ``unsure`` and ``pending`` change nothing. Copies
    and photos without a usable face stay what they are, and an image ships once per identity.
    """
    judged = list(rows)
    latest = latest_photos(decisions)
    numbers = _rows_of_images(rows, {image_id for image_id, _ in latest})
    ordered = [latest[key] for key in sorted(latest)]
    for decision in ordered:
        if decision.decision == PhotoAnswer.WRONG:
            _reject(judged, numbers.get(decision.image_id, ()), decision)
    claims = {(row.image_id, row.claimed_identity) for row in rows}
    right = [row for row in ordered if row.decision == PhotoAnswer.RIGHT]
    taken: set[int] = set()
    # A row stands for its own claim first; only one that nobody claims may serve another identity.
    for decision in sorted(right, key=lambda row: (row.image_id, row.identity) not in claims):
        _confirm(judged, numbers.get(decision.image_id, ()), taken, decision)
    return judged


def _rows_of_images(rows: Sequence[LedgerRow], images: Collection[str]) -> Mapping[str, list[int]]:
    """Row numbers of each of these images; rows that no answer changes are left out."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        if row.image_id in images and row.reason not in _SETTLED:
            numbers[row.image_id].append(number)
    return numbers


def _reject(judged: list[LedgerRow], numbers: Iterable[int], decision: PhotoDecision) -> None:
    for number in numbers:
        row = judged[number]
        if (row.identity or row.claimed_identity) == decision.identity:
            judged[number] = _dropped(row, Reason.REJECTED)


def _confirm(
    judged: list[LedgerRow], numbers: Iterable[int], taken: set[int], decision: PhotoDecision
) -> None:
    fitting = [
        (rank, number)
        for number in numbers
        if number not in taken and (rank := _fit(judged[number], decision)) is not None
    ]
    if not fitting:
        return
    _, chosen = min(fitting)
    taken.add(chosen)
    judged[chosen] = _confirmed(judged[chosen], decision)
    for number in numbers:
        if number != chosen and judged[number].identity == decision.identity:
            judged[number] = _dropped(judged[number], Reason.DUPLICATE)


def _fit(row: LedgerRow, decision: PhotoDecision) -> int | None:
    """How well a row of the image can stand for the confirmed photo, best first; None is not."""
    if not (decision.face_id or row.face_id):
        return None
    claims = row.claimed_identity == decision.identity
    if row.identity == decision.identity:
        return 0 if claims else 1
    if claims:
        return 2
    return 3 if row.identity is None or row.face_id == decision.face_id else None


def _confirmed(row: LedgerRow, decision: PhotoDecision) -> LedgerRow:
    claims = row.claimed_identity == decision.identity
    reason = Reason.CONFIRMED if claims else Reason.BELONGS_TO_OTHER
    if decision.face_id and decision.face_id != row.face_id:
        row = replace(row, face_id=decision.face_id, det_score=None, similarity=decision.similarity)
    return replace(
        row, identity=decision.identity, outcome=reason.outcome.value, reason=reason.value
    )


def _dropped(row: LedgerRow, reason: Reason) -> LedgerRow:
    return replace(row, identity=None, outcome=reason.outcome.value, reason=reason.value)
