"""Questions whether two identities are one person."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cleaning.identity.merge import merge
from cleaning.review.gold import mix_gold
from cleaning.review.items import PairItem
from cleaning.review.priority import chance_same, plan_pairs, plan_senior, with_name_hint
from cleaning.stages.exclusion import worth_asking
from cleaning.stages.question_context import QuestionContext
from facedata.review import PENDING, Answer, Kind, Pair, PairEvidence, ordered_pair

_NO_OPINION = 0.5


def pair_items(context: QuestionContext) -> list[PairItem]:
    """The open merge candidates worth most, with control questions among them."""
    waiting = context.asked.waiting(Kind.PAIRS, Kind.SENIOR)
    decided = {pair: row.decision for pair, row in context.decided.items()}
    evidence = worth_asking(context.material.evidence, context.material.exclusion)
    candidates = [row for row in evidence if row.pair not in waiting]
    chance = _chance(context, candidates)
    chosen = plan_pairs(candidates, decided, chance, context.wishes.budget)
    questions = _questions(context, chosen)
    if not questions:
        return []
    batches = context.asked.batches(Kind.PAIRS)
    controls = _controls(context, {row.pair for row in chosen})
    return mix_gold(questions, controls, context.wishes.gold_share, seed=batches)


def senior_items(context: QuestionContext) -> list[PairItem]:
    """What people disagree about, for experienced ones, with what was said: answers that contradict
    one another, and pairs that as many called the same as different."""
    rows = [row for row in context.decided.values() if row.decision != PENDING]
    found = merge({}, rows, "keep-separate").contradictions
    groups = [[*one.suspended, (one.identity_a, one.identity_b)] for one in found]
    # A later question about the pair may have settled what this one left tied.
    groups += [[pair] for pair in sorted(context.opinions.tied) if _is_unsure(context, pair)]
    waiting = context.asked.waiting(Kind.PAIRS, Kind.SENIOR)
    evidence = [
        _evidence(context, pair) for pair in plan_senior(groups, context.log) if pair not in waiting
    ]
    known = [row for row in evidence if row is not None]
    questions = _questions(context, known[: context.wishes.budget])
    return [replace(item, earlier=_earlier(context, item)) for item in questions]


def _questions(context: QuestionContext, rows: Sequence[PairEvidence]) -> list[PairItem]:
    chances = _chance(context, rows)
    return [_item(context, row, float(p)) for row, p in zip(rows, chances, strict=True)]


def _controls(context: QuestionContext, asked: Collection[Pair]) -> list[PairItem]:
    """Pairs with known answers, as far as both identities have photos, but for those asked."""
    controls = []
    for pair, answer in sorted(context.wishes.gold.items()):
        row = None if pair in asked else _evidence(context, pair)
        if row is not None:
            controls.append(replace(_item(context, row, _NO_OPINION), gold=answer.value))
    return controls


def _item(context: QuestionContext, row: PairEvidence, chance: float) -> PairItem:
    return PairItem(
        key="",
        a=context.sides.side(row.identity_a),
        b=context.sides.side(row.identity_b),
        face_a=row.face_a,
        face_b=row.face_b,
        max_similarity=row.max_similarity,
        centroid_similarity=row.centroid_similarity,
        close_pairs=row.close_pairs,
        chance_same=chance,
    )


def _evidence(context: QuestionContext, pair: Pair) -> PairEvidence | None:
    """What was measured between two identities; None when one of them has no photos now."""
    return context.evidence.get(pair) or context.sides.compare(
        pair, context.material.candidate_threshold
    )


def _chance(context: QuestionContext, rows: Sequence[PairEvidence]) -> NDArray[np.float64]:
    decided = [
        (row.max_similarity, row.decision == Answer.SAME)
        for row in context.decided.values()
        if row.max_similarity is not None and row.decision in (Answer.SAME, Answer.DIFFERENT)
    ]
    similarity = np.array([row.max_similarity for row in rows], np.float64)
    chance = chance_same(similarity, decided, context.material.candidate_threshold)
    return with_name_hint(chance, [row.pair for row in rows])


def _is_unsure(context: QuestionContext, pair: Pair) -> bool:
    row = context.decided.get(pair)
    return row is not None and row.decision == Answer.UNSURE


def _earlier(context: QuestionContext, item: PairItem) -> str:
    """Everything that was decided about a pair, oldest first."""
    return "; ".join(context.words.get(ordered_pair(item.a.identity, item.b.identity), ()))
