"""Which photos and pairs the report shows: few of each kind, chosen so that errors show."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from cleaning.export.crop_image import to_data_uri
from facedata.ledger import Reason
from facedata.records import LedgerRow
from facedata.review import CandidateRow

PHOTOS_PER_GALLERY = 24
PAIRS_PER_DECISION = 24

CropOf = Callable[[str], bytes]
"""Returns the encoded aligned crop of a ``face_id``."""


class Order(Enum):
    """Which photos of a gallery are shown."""

    SAMPLE = "a random sample"
    LEAST_SIMILAR = "the least similar to their identity first"
    MOST_SIMILAR = "the most similar to their identity first"


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryPlan:
    """A gallery of the report: photos of these reasons in this order."""

    title: str
    explanation: str
    tone: str
    reasons: frozenset[Reason]
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoCard:
    """One photo: its face as a data URI, its names and where it came from."""

    image: str
    claimed_identity: str
    identity: str | None
    similarity: float | None
    source: str
    source_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoGallery:
    """A filled gallery; ``total`` counts all photos of its kind, shown or not."""

    plan: GalleryPlan
    total: int
    photos: tuple[PhotoCard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCard:
    """One merge candidate with its closest faces as data URIs."""

    row: CandidateRow
    image_a: str
    image_b: str


PLANS = (
    GalleryPlan(
        title="Kept",
        explanation="In the main cluster of their identity.",
        tone="good",
        reasons=frozenset({Reason.MAIN_CLUSTER}),
        order=Order.SAMPLE,
    ),
    GalleryPlan(
        title="Kept, but only just",
        explanation="Least like the centre of their identity: a wrong photo would be here.",
        tone="good",
        reasons=frozenset({Reason.MAIN_CLUSTER}),
        order=Order.LEAST_SIMILAR,
    ),
    GalleryPlan(
        title="Readmitted",
        explanation="The first cut split these off; measured evidence brought them back.",
        tone="good",
        reasons=frozenset({Reason.READMITTED, Reason.MERGED_PHOTO}),
        order=Order.LEAST_SIMILAR,
    ),
    GalleryPlan(
        title="Confirmed",
        explanation="People said that these show their identity.",
        tone="good",
        reasons=frozenset({Reason.CONFIRMED}),
        order=Order.LEAST_SIMILAR,
    ),
    GalleryPlan(
        title="Moved",
        explanation="Came in under one name and show another listed person.",
        tone="other",
        reasons=frozenset({Reason.BELONGS_TO_OTHER}),
        order=Order.LEAST_SIMILAR,
    ),
    GalleryPlan(
        title="Dropped",
        explanation="Fit neither the claimed identity nor any other. A genuine photo lost by "
        "mistake would be among the first.",
        tone="bad",
        reasons=frozenset({Reason.OUTLIER, Reason.SAME_FACE_CLAIMED_TWICE}),
        order=Order.MOST_SIMILAR,
    ),
    GalleryPlan(
        title="Rejected",
        explanation="People said that these do not show their identity.",
        tone="bad",
        reasons=frozenset({Reason.REJECTED}),
        order=Order.MOST_SIMILAR,
    ),
    GalleryPlan(
        title="Duplicates",
        explanation="Another photo of the same identity is the same picture.",
        tone="bad",
        reasons=frozenset({Reason.DUPLICATE, Reason.NEAR_DUPLICATE}),
        order=Order.SAMPLE,
    ),
    GalleryPlan(
        title="Held",
        explanation="Of identities that people must look at first.",
        tone="wait",
        reasons=frozenset(
            {
                Reason.NO_MAIN_CLUSTER,
                Reason.TAKEN_OVER,
                Reason.SINGLE_PHOTO,
                Reason.PENDING_MERGE,
                Reason.CONTRADICTION,
            }
        ),
        order=Order.SAMPLE,
    ),
)

_Ranked = tuple[float, str, int, LedgerRow]


def build_galleries(rows: Iterable[LedgerRow], crop_of: CropOf) -> tuple[PhotoGallery, ...]:
    """Fill the galleries in one pass over the ledger; empty ones are left out.

    The choice depends on the rows alone, not on their order. Photos without a face (a
    ``face_id`` of null) count but are not shown.

    Raises:
        IntegrityError: when a crop is not an image.
    """
    totals = [0] * len(PLANS)
    best: list[list[_Ranked]] = [[] for _ in PLANS]
    for row in rows:
        for place, plan in enumerate(PLANS):
            if row.reason in plan.reasons:
                totals[place] += 1
                _offer(best[place], totals[place], row, plan.order)
    return tuple(
        PhotoGallery(
            plan=plan,
            total=total,
            photos=tuple(_card(row, crop_of) for *_, row in sorted(found, reverse=True)),
        )
        for plan, total, found in zip(PLANS, totals, best, strict=True)
        if total
    )


def _offer(best: list[_Ranked], number: int, row: LedgerRow, order: Order) -> None:
    """Keep the row when it is among the first; the heap's least entry is the last shown.

    ``number`` differs between rows, so that two equal rows are never compared.
    """
    if row.face_id is None:
        return
    rank = _rank(row, order)
    if len(best) == PHOTOS_PER_GALLERY and rank < best[0][0]:
        return
    ranked = (rank, _lot(row), number, row)
    if len(best) < PHOTOS_PER_GALLERY:
        heapq.heappush(best, ranked)
    elif ranked > best[0]:
        heapq.heapreplace(best, ranked)


def _rank(row: LedgerRow, order: Order) -> float:
    if order is Order.SAMPLE:
        return 0.0
    similarity = -1.0 if row.similarity is None else row.similarity
    return similarity if order is Order.MOST_SIMILAR else -similarity


def _lot(row: LedgerRow) -> str:
    """Return what decides by lot, the same in every run."""
    facts = "\0".join((row.image_id, row.source, row.source_uri, row.claimed_identity))
    return hashlib.sha256(facts.encode()).hexdigest()


def _card(row: LedgerRow, crop_of: CropOf) -> PhotoCard:
    return PhotoCard(
        image=to_data_uri(crop_of(row.face_id or "")),
        claimed_identity=row.claimed_identity,
        identity=row.identity,
        similarity=row.similarity,
        source=row.source,
        source_uri=row.source_uri,
    )


def build_pair_cards(candidates: Iterable[CandidateRow], crop_of: CropOf) -> tuple[PairCard, ...]:
    """Return the nearest pairs of each decision with their closest faces, nearest first.

    Raises:
        IntegrityError: when a crop is not an image.
    """
    ordered = sorted(
        candidates, key=lambda row: (-row.max_similarity, row.identity_a, row.identity_b)
    )
    shown: dict[str, int] = {}
    cards: list[PairCard] = []
    for row in ordered:
        shown[row.decision] = shown.get(row.decision, 0) + 1
        if shown[row.decision] <= PAIRS_PER_DECISION:
            images = (to_data_uri(crop_of(face)) for face in (row.face_a, row.face_b))
            cards.append(PairCard(row=row, image_a=next(images), image_b=next(images)))
    return tuple(cards)
