"""What a Prefect server is told about a review: a batch is open, a batch is over."""

from __future__ import annotations

from collections.abc import Iterable

from cleaning.review.decisions import latest, latest_photos
from cleaning.review.items import Batch, PairItem
from cleaning.stages.batch_index import Subject, subjects_of
from cleaning.stages.review_folder import ReviewFolder
from facedata.lock import hold_review
from facedata.review import PENDING, Decision, Kind, PhotoDecision


def tell_opened(folder: ReviewFolder, batch: str, questions: int) -> None:
    """Tell that a batch waits for answers."""
    # Imported late: it brings Prefect.
    from flows.events import emit_review_opened

    emit_review_opened(folder.dataset, batch, questions)


def tell_completed(folder: ReviewFolder, batch: str) -> bool:
    """Tell once that a batch is over; whether a server was told now."""
    marker = f"events/{folder.dataset}-{batch}.json"
    if folder.storage.exists(marker):
        return False
    from flows.events import emit_review_completed

    decided = _count_decided(folder, folder.batch(batch))
    told = emit_review_completed(folder.dataset, batch, decided)
    if told:
        folder.storage.write(marker, b"{}")
    return told


def tell_missed(folder: ReviewFolder) -> list[str]:
    """Tell of batches that are over and of which no Prefect server has heard; returns their names.

    Their answers were fetched, or they were closed, by a command that knew no server or whose
    server was down.
    """
    with hold_review(folder.storage, folder.dataset):
        over = [name for name in folder.batch_names() if folder.is_closed(name)]
        return [name for name in over if tell_completed(folder, name)]


def _count_decided(folder: ReviewFolder, batch: Batch) -> int:
    """How many pairs, or photos, of a batch's questions are decided; controls do not count."""
    rows: Iterable[Decision | PhotoDecision] = (
        latest(folder.decisions()).values()
        if batch.kind in (Kind.PAIRS, Kind.SENIOR)
        else latest_photos(folder.photo_decisions()).values()
    )
    decided = {_subject_of(row) for row in rows if row.decision != PENDING}
    asked = {
        subject
        for item in batch.items
        if not (isinstance(item, PairItem) and item.gold)
        for subject in subjects_of(item)
    }
    return len(asked & decided)


def _subject_of(row: Decision | PhotoDecision) -> Subject:
    """What a decision is about, as questions are about it."""
    return row.pair if isinstance(row, Decision) else (row.image_id, row.identity)
