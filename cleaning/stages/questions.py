"""Planning batches: what people are asked next, made from the newest build's findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from cleaning.review.decisions import latest
from cleaning.review.items import Batch, Item, question_key
from cleaning.stages.asked import Asked
from cleaning.stages.batch_index import index_of, subject_text, subjects_of
from cleaning.stages.content import Findings, decide_content
from cleaning.stages.material import Material
from cleaning.stages.opinions import find_opinions
from cleaning.stages.pair_questions import pair_items, senior_items
from cleaning.stages.photo_questions import audit_items, grid_items
from cleaning.stages.question_context import QuestionContext, Wishes
from facedata.recipe import Recipe
from facedata.review import Answer, Decision, Kind, Pair

_ITEMS: Mapping[Kind, Callable[[QuestionContext], Sequence[Item]]] = {
    Kind.PAIRS: pair_items,
    Kind.SENIOR: senior_items,
    Kind.PHOTOS: grid_items,
    Kind.AUDIT: audit_items,
}

Gold = Mapping[Pair, Answer]
"""Pairs with known answers."""


class Planner:
    """Plans one batch after the other, each in the light of those planned before."""

    def __init__(self, recipe: Recipe, material: Material, gold: Gold) -> None:
        options = recipe.review
        findings = Findings(
            recipe=recipe,
            judged=material.judged,
            candidates=material.candidates,
            measured=material.measured,
            copies=material.copies,
            exclusion=material.exclusion,
        )
        # Nothing that is decided changes while batches are planned.
        self._context = QuestionContext(
            material=material,
            wishes=Wishes(
                budget=options.batch,
                overlap=options.overlap,
                gold=gold,
                gold_share=options.gold_share,
                borderline=options.borderline,
            ),
            asked=Asked(material.folder),
            audit=decide_content(material.folder.storage, findings).audit,
            opinions=find_opinions(material.folder),
        )

    def plan(self, kind: Kind) -> Batch | None:
        """Plan the next batch of a kind; None when there is nothing to ask."""
        context = self._context
        items = _ITEMS[kind](context)
        if not items:
            return None
        batch = Batch(
            name=context.asked.next_name(kind),
            kind=kind,
            overlap=1 if kind == Kind.SENIOR else context.wishes.overlap,
            model=context.material.model,
            items=tuple(_with_key(kind, item, context.asked) for item in items),
        )
        context.asked.add(index_of(batch))
        return batch


def known_decisions(material: Material, gold: Gold, now: str) -> list[Decision]:
    """Candidates whose answer is known need no asking: their decisions, dated ``now``."""
    decided = latest(material.folder.decisions())
    return [
        Decision(
            identity_a=row.identity_a,
            identity_b=row.identity_b,
            decision=gold[row.pair].value,
            decided_by="known answers",
            decided_at=now,
            face_a=row.face_a,
            face_b=row.face_b,
            max_similarity=row.max_similarity,
            model=material.model,
        )
        for row in material.evidence
        if row.pair in gold and row.pair not in decided
    ]


def _with_key(kind: Kind, item: Item, asked: Asked) -> Item:
    subjects = subjects_of(item)
    times = asked.times(kind, subject_text(subjects))
    flat = [part for subject in subjects for part in subject]
    return replace(item, key=question_key(kind, flat, times))
