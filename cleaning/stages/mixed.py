"""Identities that reviewers saw more than one person in, while deciding about pairs."""

from __future__ import annotations

from collections import defaultdict

from cleaning.review.items import PairItem, PersonAnswer
from cleaning.review.majority import mixed_identities
from cleaning.stages.review_folder import ReviewFolder


def find_mixed(folder: ReviewFolder) -> frozenset[str]:
    """Find the identities whose gallery most of those who answered called mixed."""
    rows: dict[str, list[PersonAnswer]] = defaultdict(list)
    for row in folder.answers():
        rows[row.key].append(row)
    if not any(row.mixed for answers in rows.values() for row in answers):
        return frozenset()
    batches = [folder.batch(name) for name in folder.batch_names()]
    return frozenset(
        identity
        for batch in batches
        for item in batch.items
        if isinstance(item, PairItem) and item.key in rows
        for identity in mixed_identities(item, rows[item.key], batch.overlap)
    )
