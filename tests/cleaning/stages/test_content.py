"""What a version will hold: decisions about pairs and photos, the audit on top."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning.identity.merge import merge
from cleaning.review.decisions import INFERRED, latest, with_decisions
from cleaning.stages.content import Findings, VersionContent, decide_content, own_answers
from cleaning.stages.photo_decisions import judge
from cleaning.stages.review_folder import ReviewFolder
from facedata.recipe import parse_recipe
from facedata.review import CandidateRow, Kind
from facedata.storage import Storage

RECIPE = """
name: people
sources: [{folder: {path: photos}}]
release: {audit: 100}
"""


def candidate(a: str, b: str) -> CandidateRow:
    return CandidateRow(
        identity_a=a,
        identity_b=b,
        max_similarity=0.5,
        face_a=f"{a}1-0",
        face_b=f"{b}1-0",
        decision="pending",
        decided_by=None,
        decided_at=None,
    )


CANDIDATES = [candidate("A", "B"), candidate("A", "C"), candidate("B", "C"), candidate("C", "D")]


@pytest.fixture
def folder(tmp_path: Path) -> ReviewFolder:
    return ReviewFolder(storage=Storage(tmp_path), dataset="people")


@pytest.fixture
def decide(folder: ReviewFolder, row: Any, measured: Any) -> Any:
    """Decides on four identities of three photos; ``seen`` as of the inter-class stage."""
    rows = [row(f"{name}{number}", name) for name in "ABCD" for number in (1, 2, 3)]
    faces = measured({r.face_id: [1.0, 0.0, 0.0] for r in rows})

    def run(seen: int | None = None, extra: Any = ()) -> VersionContent:
        found = Findings(
            recipe=parse_recipe(RECIPE),
            judged=judge([*rows, *extra], folder.photo_decisions(), faces, seen),
            candidates=CANDIDATES,
            measured=faces,
        )
        return decide_content(folder.storage, found)

    return run


def test_inferred_answers_merge_nothing_that_people_did_not(
    decide: Any, folder: ReviewFolder, answered: Any
) -> None:
    folder.append_decisions([answered("A", "B", "same"), answered("B", "C", "same")])
    content = decide()
    assert [(row.decision, row.decided_by) for row in content.candidates] == [
        ("same", "kim@example.org"),
        ("same", INFERRED),
        ("same", "kim@example.org"),
        ("pending", None),
    ]
    assert content.identities == {"A": 0, "D": 1}
    assert content.merges.canonical == {"A": "A", "B": "A", "C": "A", "D": "D"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([("A", "B"), ("A", "C"), ("B", "C"), ("C", "D"), ("A", "D")]),
            st.sampled_from(["same", "different", "unsure", "pending"]),
        ),
        max_size=6,
    ),
    st.sampled_from(["keep-separate", "hold-out"]),
)
def test_merges_are_those_without_inference(
    answered: Any, log: list[tuple[tuple[str, str], str]], policy: Any
) -> None:
    decisions = [answered(a, b, word) for (a, b), word in log]
    known = latest(decisions)
    plain = [
        replace(row, decision=known[row.identity_a, row.identity_b].decision)
        if (row.identity_a, row.identity_b) in known
        else row
        for row in CANDIDATES
    ]
    counts = dict.fromkeys("ABCD", 3)
    expected = merge(counts, [*plain, *known.values()], policy)
    filled = own_answers(with_decisions(CANDIDATES, decisions))
    assert merge(counts, [*filled, *known.values()], policy) == expected


def test_a_photo_found_wrong_in_the_audit_is_dropped_and_stays_in_the_sample(
    decide: Any, folder: ReviewFolder, said: Any
) -> None:
    before = decide()
    assert len(before.audit.photos) == 12
    folder.append_photo_decisions(
        [said("A1", "A", "wrong", Kind.AUDIT), said("A2", "A", "right", Kind.AUDIT)]
    )
    after = decide()
    assert [(r.reason, r.identity) for r in after.rows[:3]] == [
        ("rejected", None),
        ("confirmed", "A"),
        ("main_cluster", "A"),
    ]
    assert [p.image_id for p in after.audit.photos] == [p.image_id for p in before.audit.photos]
    assert (after.audit.noise.wrong, after.audit.noise.right, after.audit.pending) == (1, 1, 10)


def test_a_photo_rejected_in_the_audit_does_not_ship_under_the_other_name(
    decide: Any, folder: ReviewFolder, answered: Any, said: Any, row: Any
) -> None:
    copy = row("A1", "B", face_id="A1-0")
    folder.append_decisions([answered("A", "B", "same")])
    merged = decide(extra=[copy])
    assert (merged.rows[0].reason, merged.rows[-1].reason) == ("main_cluster", "duplicate")
    folder.append_photo_decisions([said("A1", "A", "wrong", Kind.AUDIT)])
    audited = decide(extra=[copy])
    assert (audited.rows[0].reason, audited.rows[-1].reason) == ("rejected", "rejected")


def test_a_decision_that_arrives_late_waits_for_the_next_build(
    decide: Any, folder: ReviewFolder, said: Any
) -> None:
    folder.append_photo_decisions([said("A1", "A", "wrong")])
    folder.append_photo_decisions(
        [said("B1", "B", "wrong"), said("C1", "C", "wrong", Kind.AUDIT), said("D1", "D", "wrong")]
    )
    reasons = {r.image_id: r.reason for r in decide(seen=1).rows if r.image_id[1] == "1"}
    assert reasons == {
        "A1": "rejected",
        "B1": "main_cluster",
        "C1": "rejected",
        "D1": "main_cluster",
    }


def test_the_latest_word_about_a_photo_counts_whoever_was_asked(
    decide: Any, folder: ReviewFolder, said: Any
) -> None:
    folder.append_photo_decisions(
        [
            said("A1", "A", "wrong", Kind.AUDIT),
            said("A1", "A", "right"),
            said("B1", "B", "right"),
            said("B1", "B", "wrong", Kind.AUDIT),
        ]
    )
    reasons = {r.image_id: r.reason for r in decide().rows}
    assert (reasons["A1"], reasons["B1"]) == ("confirmed", "rejected")


def test_too_few_photos_after_the_audit_are_held(
    decide: Any, folder: ReviewFolder, said: Any
) -> None:
    folder.append_photo_decisions([said(f"A{n}", "A", "wrong", Kind.AUDIT) for n in (1, 2)])
    content = decide()
    assert [r.reason for r in content.rows[:3]] == ["rejected", "rejected", "single_photo"]
    assert "A" not in content.identities
