"""The review stage with the file backend: pages out, answers in, an append-only log between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from cleaning.review.decisions import unrecorded, with_decisions
from cleaning.review.file_backend import (
    PAGE_FILE,
    PAIRS_FILE,
    Gallery,
    GalleryFace,
    next_batch,
    write_review,
)
from cleaning.review.gallery import select_gallery
from cleaning.review.pairs_csv import Reading, read_pairs
from cleaning.stages.crops import CropReader
from cleaning.stages.measured import Measured
from cleaning.stages.review_folder import ReviewFolder
from cleaning.stages.settle import hopeful_identity
from facedata.records import LedgerRow
from facedata.review import PENDING, CandidateRow
from facedata.stages import digest_of

_SHOWN = "candidates.parquet"
_WRITTEN = "written.json"


def page_url(folder: ReviewFolder) -> str:
    """Where people find the page."""
    return folder.storage.url(folder.path(PAGE_FILE))


def shown_candidates(folder: ReviewFolder) -> list[CandidateRow]:
    """The candidates that the pages show; empty before the first time."""
    if not folder.storage.exists(folder.path(_SHOWN)):
        return []
    return folder.storage.read_records(folder.path(_SHOWN), CandidateRow)


def take_in_answers(folder: ReviewFolder, reading: Reading, data: bytes | None = None) -> int:
    """Append the answers of a filled-in ``pairs.csv`` to the log; reading it twice adds nothing.

    ``data`` is the file's content; without it the one in the review folder is read, if any.

    Returns:
        How many answers were new.

    Raises:
        RecipeError: when the file names an unknown pair or answer.
    """
    if data is None:
        if not folder.storage.exists(folder.path(PAIRS_FILE)):
            return 0
        data = folder.storage.read(folder.path(PAIRS_FILE))
    fresh = unrecorded(read_pairs(data, shown_candidates(folder), reading), folder.decisions())
    folder.append_decisions(fresh)
    return len(fresh)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewInput:
    """What the review shows: candidates, the rows they are about, and the faces measured."""

    candidates: Sequence[CandidateRow]
    rows: Sequence[LedgerRow]
    measured: Measured
    crops: CropReader


def write_pages(folder: ReviewFolder, shown: ReviewInput) -> dict[str, int]:
    """Write the pages and ``pairs.csv`` for the candidates, unless they are there already.

    Returns:
        Counts of candidates, decided and pending.
    """
    decided = with_decisions(shown.candidates, folder.decisions())
    pending = sum(row.decision == PENDING for row in decided)
    counts = {"candidates": len(decided), "decided": len(decided) - pending, "pending": pending}
    digest = digest_of([asdict(row) for row in decided])
    if _is_written(folder, digest):
        return counts
    folder.storage.remove(folder.path(_WRITTEN))
    # Before the table to fill in: answers are checked against what was shown.
    folder.storage.write_records(folder.path(_SHOWN), CandidateRow, decided)
    write_review(
        decided,
        _galleries(shown, next_batch(decided)),
        shown.crops,
        lambda name, data: folder.storage.write(folder.path(name), data),
        title=folder.dataset,
    )
    folder.storage.write(folder.path(_WRITTEN), json.dumps({"digest": digest}).encode())
    return counts


def _is_written(folder: ReviewFolder, digest: str) -> bool:
    names = (_WRITTEN, PAGE_FILE, PAIRS_FILE)
    if not all(folder.storage.exists(folder.path(name)) for name in names):
        return False
    return bool(json.loads(folder.storage.read(folder.path(_WRITTEN)))["digest"] == digest)


def _galleries(shown: ReviewInput, batch: Sequence[CandidateRow]) -> dict[str, Gallery]:
    wanted = {name for row in batch for name in (row.identity_a, row.identity_b)}
    faces: dict[str, list[str]] = {name: [] for name in wanted}
    for row in shown.rows:
        identity = hopeful_identity(row)
        if identity in wanted and row.face_id:
            faces[identity].append(row.face_id)
    row_of = {face_id: row for row, face_id in enumerate(shown.measured.face_ids())}
    return {name: _gallery(name, ids, shown.measured, row_of) for name, ids in faces.items()}


def _gallery(name: str, face_ids: list[str], measured: Measured, row_of: dict[str, int]) -> Gallery:
    embeddings = measured.embeddings[[row_of[face_id] for face_id in face_ids]].astype(np.float32)
    picked = select_gallery(embeddings)
    return Gallery(
        identity=name,
        face_count=len(face_ids),
        faces=tuple(
            GalleryFace(face_id=face_ids[i], caption="" if place else "typical")
            for place, i in enumerate(picked)
        ),
    )
