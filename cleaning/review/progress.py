"""How far the answers to a batch have come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from cleaning.review.items import Batch, PersonAnswer
from cleaning.review.majority import standing


def answered_keys(batch: Batch, answers: Iterable[PersonAnswer]) -> set[str]:
    """Return the keys of a batch's questions that enough people have answered."""
    rows: dict[str, list[PersonAnswer]] = defaultdict(list)
    for row in answers:
        rows[row.key].append(row)
    return {
        item.key for item in batch.items if len(standing(rows.get(item.key, []))) >= batch.overlap
    }
