"""The inter-class stage: which identities take part, what is measured, when it runs again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cleaning.stages.copies import CopyPair
from cleaning.stages.inter import CANDIDATES, EVIDENCE, SEEN, InterInput, find_candidates
from cleaning.stages.measured import Measured
from cleaning.stages.photo_decisions import Judged, judge
from facedata.ledger import Reason
from facedata.options import InterOptions
from facedata.review import CandidateRow, PairEvidence
from facedata.stages import StageResult
from facedata.storage import Storage

INTRA = StageResult(stage="intra", key="k", folder="f", files={"l": "0"}, counts={}, facts={})
FACES = {
    "a1-0": [1.0, 0.0, 0.0],
    "a2-0": [0.8, 0.6, 0.0],
    "b1-0": [0.96, 0.28, 0.0],
    "b2-0": [0.6, 0.8, 0.0],
    "c1-0": [0.0, 0.0, 1.0],
    "c2-0": [0.6, 0.0, 0.8],
}


@pytest.fixture
def faces(measured: Any) -> Measured:
    return measured(FACES)  # type: ignore[no-any-return]


@pytest.fixture
def rows(row: Any) -> list[Any]:
    held = Reason.NO_MAIN_CLUSTER
    return [
        *(row(image, image[0].upper()) for image in ("a1", "a2", "b1", "b2")),
        *(row(image, "C", held) for image in ("c1", "c2")),
    ]


def found(storage: Storage, judged: Judged, faces: Measured) -> StageResult:
    given = InterInput(
        intra=INTRA, judged=judged, measured=faces, options=InterOptions(threshold=0.55), seed=0
    )
    return find_candidates(storage, given)


def test_the_evidence_of_each_candidate(tmp_path: Path, rows: Any, faces: Any) -> None:
    storage = Storage(tmp_path)
    result = found(storage, judge(rows, [], faces), faces)
    (evidence,) = storage.read_records(result.path(EVIDENCE), PairEvidence)
    (candidate,) = storage.read_records(result.path(CANDIDATES), CandidateRow)
    assert (evidence.identity_a, evidence.identity_b) == ("A", "B")
    assert (evidence.photos_a, evidence.photos_b) == (2, 2)
    # a2–b2 is 0.96, a1–b1 0.96, a2–b1 0.936, a1–b2 0.6: all are at or above 0.55.
    assert evidence.close_pairs == 4
    vectors = faces.embeddings.astype(np.float64)
    a, b = vectors[:2].mean(axis=0), vectors[2:4].mean(axis=0)
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert evidence.centroid_similarity == pytest.approx(expected, abs=1e-6)
    for name in ("identity_a", "identity_b", "max_similarity", "face_a", "face_b"):
        assert getattr(candidate, name) == getattr(evidence, name)
    assert (candidate.decision, candidate.decided_by) == ("pending", None)


def test_confirmed_photos_of_a_held_identity_take_part(
    tmp_path: Path, rows: Any, faces: Any, said: Any
) -> None:
    storage = Storage(tmp_path)
    log = [said("c1", "C", "wrong"), said("c2", "C", "right")]
    result = found(storage, judge(rows, log, faces), faces)
    evidence = storage.read_records(result.path(EVIDENCE), PairEvidence)
    assert [row.pair for row in evidence] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert [row.photos_b for row in evidence] == [2, 1, 1]
    assert [row.close_pairs for row in evidence] == [4, 1, 1]
    assert result.facts[SEEN] == 2


def test_identities_that_ship_one_face_are_candidates_at_any_threshold(
    tmp_path: Path, row: Any, faces: Any
) -> None:
    storage = Storage(tmp_path)
    # B claims the photo a1 too, and c1 is a copy of b2.
    shown = [row("a1", "A"), row("a2", "A"), row("a1", "B"), row("b1", "B"), row("b2", "B")]
    shown += [row("c1", "C"), row("c2", "C")]
    copies = [
        CopyPair(image_a="b2", image_b="c1", face_a="b2-0", face_b="c1-0"),
        # The copies agree in a face that C does not ship.
        CopyPair(image_a="a2", image_b="c2", face_a="a2-0", face_b="c2-1"),
    ]
    options = InterOptions(threshold=1.0)
    given = InterInput(
        intra=INTRA,
        judged=judge(shown, [], faces),
        measured=faces,
        options=options,
        seed=0,
        copies=copies,
    )
    result = find_candidates(storage, given)
    evidence = storage.read_records(result.path(EVIDENCE), PairEvidence)
    assert [row.pair for row in evidence] == [("A", "B"), ("B", "C")]
    assert (evidence[0].face_a, evidence[0].face_b) == ("a1-0", "a1-0")
    assert [row.photos_b for row in evidence] == [3, 2]
    # a1–c2, the nearest of B and C.
    assert evidence[1].max_similarity == pytest.approx(0.6, abs=1e-3)
    assert result.counts == {"candidates": 2}


def test_it_runs_again_only_for_decisions_that_changed_something(
    tmp_path: Path, rows: Any, faces: Any, said: Any
) -> None:
    storage = Storage(tmp_path)
    first = found(storage, judge(rows, [], faces), faces)
    unsure = found(storage, judge(rows, [said("a1", "A", "unsure")], faces), faces)
    assert (unsure.key, unsure.resumed) == (first.key, True)
    wrong = found(storage, judge(rows, [said("a1", "A", "wrong")], faces), faces)
    assert (wrong.key != first.key, wrong.resumed) == (True, False)
    # Taken back: the first result again, which a release then sees with the log as it was then.
    log = [said("a1", "A", "wrong"), said("a1", "A", "pending")]
    again = found(storage, judge(rows, log, faces), faces)
    assert (again.key, again.facts[SEEN]) == (first.key, 0)
    assert judge(rows, log, faces, again.facts[SEEN]).rows == judge(rows, log, faces).rows


def test_identities_without_faces_give_no_candidates(tmp_path: Path, measured: Any) -> None:
    storage = Storage(tmp_path)
    faces = measured({})
    given = InterInput(
        intra=INTRA,
        judged=judge([], [], faces),
        measured=faces,
        options=InterOptions(threshold=0.5),
        seed=0,
    )
    result = find_candidates(storage, given)
    assert storage.read_records(result.path(EVIDENCE), PairEvidence) == []
