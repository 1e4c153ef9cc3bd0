"""How far the answers to a batch have come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from cleaning.review.items import PersonAnswer
from cleaning.review.majority import standing


def answered_keys(keys: Iterable[str], overlap: int, answers: Iterable[PersonAnswer]) -> set[str]:
    """Return those of the questions' keys that ``overlap`` people have answered."""
    rows: dict[str, list[PersonAnswer]] = defaultdict(list)
    for row in answers:
        rows[row.key].append(row)
    return {key for key in keys if len(standing(rows.get(key, []))) >= overlap}
