"""What the report says about the people who decided, from the logs of the review."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cleaning.export.review_facts import AnnotatorFact, KindFact
from cleaning.review.decisions import INFERRED
from cleaning.review.items import Batch, PairItem, PersonAnswer, Side
from cleaning.stages.report import review_facts
from cleaning.stages.review_folder import ReviewFolder
from facedata.review import CandidateRow, Kind
from facedata.storage import Storage


@pytest.fixture
def folder(tmp_path: Path) -> ReviewFolder:
    return ReviewFolder(storage=Storage(tmp_path), dataset="people")


def pair(key: str, gold: str = "") -> PairItem:
    return PairItem(
        key=key,
        a=Side(identity=f"A{key}", photos=1, faces=("1-0",)),
        b=Side(identity=f"B{key}", photos=1, faces=("2-0",)),
        face_a="1-0",
        face_b="2-0",
        max_similarity=0.5,
        centroid_similarity=0.5,
        close_pairs=1,
        chance_same=0.5,
        gold=gold,
    )


def inferred(decided_by: str | None) -> CandidateRow:
    return CandidateRow(
        identity_a="A",
        identity_b="B",
        max_similarity=0.5,
        face_a="1-0",
        face_b="2-0",
        decision="same",
        decided_by=decided_by,
        decided_at=None,
    )


def test_nobody_decided_anything(folder: ReviewFolder) -> None:
    assert review_facts(folder, []) is None


def test_latest_decisions_by_kind_people_and_agreement(
    folder: ReviewFolder, answered: Any, said: Any
) -> None:
    items = (pair("k1"), pair("k2"), pair("k3", gold="same"))
    folder.plan(Batch(name="pairs-0001", kind=Kind.PAIRS, overlap=2, model="m", items=items))
    votes = {"ana": ["same", "same", "same"], "ben": ["same", "different", "different"]}
    folder.append_answers(
        [
            PersonAnswer(
                batch="pairs-0001",
                key=f"k{number}",
                annotator=f"{name}@example.org",
                answer=word,
                answered_at="2026-03-01T10:00:00+00:00",
            )
            for name, words in votes.items()
            for number, word in enumerate(words, start=1)
        ]
    )
    folder.append_decisions(
        [
            answered("A", "B", "different", kind="pairs"),
            answered("A", "B", "same", kind="pairs"),
            answered("A", "C", "unsure", kind="pairs"),
            answered("A", "D", "different"),
            answered("A", "E", "same", kind="senior"),
            answered("A", "E", "pending", kind="senior"),
        ]
    )
    folder.append_photo_decisions(
        [said("1", "A", "wrong"), said("2", "A", "right"), said("3", "A", "right", Kind.AUDIT)]
    )
    facts = review_facts(folder, [inferred(INFERRED), inferred("kim"), inferred(None)])
    assert facts is not None
    assert facts.inferred == 1
    assert facts.annotators == [
        AnnotatorFact(name="ana", answered=3, gold_answered=1, gold_right=1, compared=3, agreed=1),
        AnnotatorFact(name="ben", answered=3, gold_answered=1, gold_right=0, compared=3, agreed=1),
    ]
    pairs, photos, audit, file = facts.kinds
    # Coincidences: 4 same, 2 different; observed disagreement 2/3, expected 8/15: 1 − 5/4.
    assert pairs.alpha == pytest.approx(-0.25)
    assert (pairs.title, pairs.yes, pairs.no, pairs.unsure) == ("Pairs of identities", 1, 0, 1)
    assert pairs.ties == 2
    assert photos == KindFact(
        title="Photos of held identities and near the cut", yes=1, no=1, unsure=0
    )
    assert audit == KindFact(title="Audit of released photos", yes=1, no=0, unsure=0)
    assert file == KindFact(title="Pairs, from a file or command", yes=0, no=1, unsure=0)
