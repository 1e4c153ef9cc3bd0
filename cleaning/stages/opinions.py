"""What answers say beside the decisions: mixed galleries, and pairs that people disagree about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cleaning.review.items import PairItem, PersonAnswer
from cleaning.review.majority import mixed_identities, standing, vote
from cleaning.stages.review_folder import ReviewFolder
from facedata.review import Pair, ordered_pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinions:
    """``mixed`` are identities in whose gallery most saw more than one person; ``tied`` are pairs
    about which as many people said one thing as another."""

    mixed: frozenset[str]
    tied: frozenset[Pair]


def find_opinions(folder: ReviewFolder) -> Opinions:
    """Look through all answers about pairs ever given."""
    mixed: set[str] = set()
    tied: set[Pair] = set()
    for item, overlap, rows in _telling_pairs(folder):
        mixed.update(mixed_identities(item, rows, overlap))
        votes = {row.annotator: row.answer for row in standing(rows)}
        if len(votes) >= overlap and not item.gold and vote(votes).is_tie:
            tied.add(ordered_pair(item.a.identity, item.b.identity))
    return Opinions(mixed=frozenset(mixed), tied=frozenset(tied))


def _telling_pairs(folder: ReviewFolder) -> Iterator[tuple[PairItem, int, list[PersonAnswer]]]:
    """The questions about pairs whose answers may say more than the decision does."""
    rows: dict[str, list[PersonAnswer]] = defaultdict(list)
    for row in folder.answers():
        rows[row.key].append(row)
    telling = {key for key, given in rows.items() if _is_telling(given)}
    for name in sorted({rows[key][0].batch for key in telling}):
        batch = folder.batch(name)
        for item in batch.items:
            if isinstance(item, PairItem) and item.key in telling:
                yield item, batch.overlap, rows[item.key]


def _is_telling(rows: Sequence[PersonAnswer]) -> bool:
    return len({row.answer for row in rows}) > 1 or any(row.mixed for row in rows)
