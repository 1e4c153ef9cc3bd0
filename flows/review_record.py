"""A review as its workspace tells it: how far it is, and a decision taken back; asks no server."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cleaning.review.agreement import annotator_report
from cleaning.review.decisions import latest, latest_photos
from cleaning.review.items import PersonAnswer
from cleaning.review.progress import answered_keys
from cleaning.stages.batch_index import BatchIndex, index_of
from cleaning.stages.review_folder import ReviewFolder
from facedata.errors import RequestError
from facedata.lock import hold_review
from facedata.recipe import load_recipe
from facedata.review import PENDING, Decision, Kind, Pair, PhotoDecision, ordered_pair
from facedata.storage import Storage
from flows.clock import utc_now

Counts = dict[str, Any]


def status(recipe: Path, workspace: str) -> Counts:
    """How far a review is, from the workspace alone.

    Raises:
        RecipeError: the recipe is not valid.
    """
    loaded = load_recipe(recipe)
    folder = ReviewFolder(storage=Storage(workspace), dataset=loaded.name)
    answers = folder.answers()
    by_batch = _by_batch(answers)
    batches = [folder.batch(name) for name in folder.batch_names()]
    return {
        "name": loaded.name,
        "url": loaded.review.url,
        "batches": [
            {
                "name": batch.name,
                "questions": len(batch.items),
                "answered": len(_answered(index_of(batch), by_batch[batch.name])),
                "is_open": not folder.is_closed(batch.name),
            }
            for batch in batches
        ],
        "decisions": _words(latest(folder.decisions()).values()),
        "photo_decisions": _words(latest_photos(folder.photo_decisions()).values()),
        "agreement": asdict(annotator_report(batches, answers)),
    }


def undo(recipe: Path, workspace: str, pair: Pair, reviewer: str, note: str) -> Counts:
    """Take back the decision about a pair: a new row in the log; the pair is open again.

    Raises:
        RequestError: nothing is decided about this pair.
    """
    folder = ReviewFolder(storage=Storage(workspace), dataset=load_recipe(recipe).name)
    with hold_review(folder.storage, folder.dataset):
        before = latest(folder.decisions()).get(ordered_pair(*pair))
        if before is None or before.decision == PENDING:
            raise RequestError(
                f"nothing is decided about {pair[0]!r} and {pair[1]!r}; "
                "`winnow review status` counts what is"
            )
        row = replace(
            before, decision=PENDING, decided_by=reviewer, decided_at=utc_now(), note=note, kind=""
        )
        folder.append_decisions([row])
    return {"identity_a": row.identity_a, "identity_b": row.identity_b, "was": before.decision}


def count_waiting(folder: ReviewFolder) -> Counter[Kind]:
    """How many questions of each kind, in open batches, too few people have answered."""
    names = folder.open_batches()
    answers = _by_batch(folder.answers_to(names))
    questions: Counter[Kind] = Counter()
    for index in map(folder.index, names):
        questions[index.kind] += len(index.keys) - len(_answered(index, answers[index.name]))
    return questions


def _words(rows: Iterable[Decision | PhotoDecision]) -> dict[str, int]:
    return dict(sorted(Counter(str(row.decision) for row in rows).items()))


def _answered(index: BatchIndex, answers: Iterable[PersonAnswer]) -> set[str]:
    return answered_keys(index.keys, index.overlap, answers)


def _by_batch(answers: Iterable[PersonAnswer]) -> Mapping[str, list[PersonAnswer]]:
    rows: dict[str, list[PersonAnswer]] = defaultdict(list)
    for row in answers:
        rows[row.batch].append(row)
    return rows
