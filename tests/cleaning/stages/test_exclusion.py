"""What an exclusion means: who goes with whom, the certificate, and how near the rest is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning.stages.content import Findings, VersionContent, decide_content
from cleaning.stages.exclude import ExcludedName
from cleaning.stages.excluded_set import ExcludedSet
from cleaning.stages.exclusion import (
    Exclusion,
    certificate,
    find_remaining,
    with_merged,
    worth_asking,
)
from cleaning.stages.exclusion_report import exclusion_facts
from cleaning.stages.photo_decisions import judge
from cleaning.stages.review_folder import ReviewFolder
from facedata.exclusion import ExclusionRow
from facedata.ledger import Reason
from facedata.recipe import parse_recipe
from facedata.records import LedgerRow
from facedata.review import CandidateRow
from facedata.stages import StageResult
from facedata.storage import Storage

MakeRow = Callable[..., LedgerRow]
INTRA = StageResult(stage="intra", key="k", folder="f", files={"l": "0"}, counts={}, facts={})


def finding(how: str, identity: str, other: str = "Xu", **changes: Any) -> ExclusionRow:
    face = {"similarity": 0.75, "face_id": f"{identity}1-0", "excluded_face_id": "x1-0"}
    values = {"similarity": None, "face_id": None, "excluded_face_id": None}
    values |= face if how == "face" else {}
    return ExclusionRow(
        how=how, identity=identity, excluded_set="lfw", excluded_identity=other, **values | changes
    )


def exclusion_of(*findings: ExclusionRow, names: tuple[str, ...] = ()) -> Exclusion:
    facts = {
        "name": "lfw",
        "by_name": True,
        "identities": 3,
        "images": 5,
        "unusable": 1,
        "faces": 4,
    }
    return Exclusion(
        findings=findings,
        names=[
            ExcludedName(excluded_set="lfw", excluded_identity=name, key=name.casefold())
            for name in names
        ],
        threshold=0.5,
        is_calibrated=True,
        sets=[facts],
    )


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


@pytest.fixture
def folder(tmp_path: Path) -> ReviewFolder:
    return ReviewFolder(storage=Storage(tmp_path), dataset="people")


@pytest.fixture
def decide(folder: ReviewFolder, row: MakeRow, measured: Any) -> Callable[..., VersionContent]:
    """Decides on four identities of three photos; A–B and C–D are candidates."""

    def run(exclusion: Exclusion, pending: str = "keep-separate") -> VersionContent:
        rows = rows_of(row)
        faces = measured({r.face_id: [1.0, 0.0, 0.0] for r in rows})
        text = f"name: people\nsources: [{{folder: {{path: p}}}}]\ninter: {{pending: {pending}}}\n"
        found = Findings(
            recipe=parse_recipe(text),
            judged=judge(rows, [], faces),
            candidates=[candidate("A", "B"), candidate("C", "D")],
            measured=faces,
            exclusion=exclusion,
        )
        return decide_content(folder.storage, found)

    return run


def rows_of(row: MakeRow) -> list[LedgerRow]:
    return [row(f"{name}{number}", name) for name in "ABCD" for number in (1, 2, 3)]


def fates(content: VersionContent) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in content.rows:
        found.setdefault(row.claimed_identity, set()).add(row.reason)
    return found


def test_excluded_people_and_pictures_do_not_ship(decide: Any) -> None:
    content = decide(
        exclusion_of(
            finding("face", "A"),
            finding("name", "A"),
            finding("face", "B"),
            finding("photo", "C", image_id="C2", excluded_image_id="x9"),
        )
    )
    assert fates(content) == {
        "A": {"excluded_name"},
        "B": {"excluded_face"},
        "C": {"main_cluster", "excluded_photo"},
        "D": {"main_cluster"},
    }
    assert content.identities == {"C": 0, "D": 1}


def test_whoever_is_the_same_person_as_somebody_out_goes_too(
    decide: Any, folder: ReviewFolder, answered: Any, row: MakeRow
) -> None:
    folder.append_decisions([answered("A", "B", "same"), answered("B", "C", "same")])
    exclusion = exclusion_of(finding("face", "B"))
    content = decide(exclusion)
    assert fates(content) == {
        "A": {"excluded_face"},
        "B": {"excluded_face"},
        "C": {"excluded_face"},
        "D": {"main_cluster"},
    }
    assert content.excluded.via == {"A": "B", "C": "B"}
    rows = certificate(exclusion, content.excluded, rows_of(row), content.rows)
    assert [(r.how, r.identity, r.excluded_identity, r.via, r.photos) for r in rows] == [
        ("face", "B", "Xu", None, 3),
        ("merged", "A", "Xu", "B", 3),
        ("merged", "C", "Xu", "B", 3),
    ]


def test_a_name_that_only_decisions_know_excludes_who_it_was_merged_with(
    decide: Any, folder: ReviewFolder, answered: Any, row: MakeRow
) -> None:
    """The photos under the excluded name are gone, what people said about it is not."""
    folder.append_decisions([answered("D", "web:xu", "same")])
    exclusion = exclusion_of(names=("Xu",))
    content = decide(exclusion)
    assert fates(content)["D"] == {"excluded_name"}
    (merged,) = certificate(exclusion, content.excluded, rows_of(row), content.rows)
    assert (merged.how, merged.identity, merged.via) == ("merged", "D", "web:xu")
    assert (merged.excluded_identity, merged.photos) == ("Xu", 3)


def test_whoever_may_be_somebody_out_is_held_where_the_recipe_says_so(decide: Any) -> None:
    exclusion = exclusion_of(finding("face", "B"))
    kept = decide(exclusion)
    assert fates(kept)["A"] == {"main_cluster"}
    assert exclusion_facts(exclusion, [], kept).open_pairs == 1
    held = decide(exclusion, pending="hold-out")
    # C and D wait for one another: the later name is held.
    assert fates(held) == {
        "A": {"pending_merge"},
        "B": {"excluded_face"},
        "C": {"main_cluster"},
        "D": {"pending_merge"},
    }
    assert exclusion_facts(exclusion, [], held).open_pairs == 0


def test_excluded_people_who_wait_for_review_wait_no_longer(
    row: MakeRow, folder: ReviewFolder, measured: Any
) -> None:
    rows = [row("A1", "A", Reason.NO_MAIN_CLUSTER), row("A2", "A", Reason.OUTLIER)]
    rows += [row("B1", "B", Reason.SINGLE_PHOTO)]
    faces = measured({r.face_id: [1.0, 0.0, 0.0] for r in rows})
    found = Findings(
        recipe=parse_recipe("name: people\nsources: [{folder: {path: p}}]\n"),
        judged=judge(rows, [], faces),
        candidates=[],
        measured=faces,
        exclusion=exclusion_of(finding("name", "A"), finding("face", "B")),
    )
    content = decide_content(folder.storage, found)
    assert [r.reason for r in content.rows] == ["excluded_name", "outlier", "excluded_face"]


def test_the_facts_of_a_set(decide: Any, row: MakeRow) -> None:
    exclusion = exclusion_of(
        finding("face", "A"),
        finding("photo", "A", image_id="A1", excluded_image_id="x9"),
        finding("photo", "C", image_id="C2", excluded_image_id="x8"),
    )
    content = decide(exclusion)
    rows = certificate(exclusion, content.excluded, rows_of(row), content.rows)
    # The picture of A went with A.
    assert [r.photos for r in rows] == [3, 0, 1]
    remaining = finding("remaining", "D", "Yi", similarity=0.25)
    facts = exclusion_facts(exclusion, [*rows, remaining], content)
    (of_set,) = facts.sets
    assert (of_set.people, of_set.pictures, of_set.closest) == (1, 1, remaining)
    assert facts.in_words() == [
        "Of the excluded set lfw (3 identities), 1 identity and 1 further picture were kept out. "
        "The nearest face that is left has a similarity of 0.2500; from 0.5000 on nobody is left."
    ]
    assert facts.unknowns() == [
        "1 identity of the version may be somebody of an excluded set under another name: nobody "
        "has decided yet.",
        "1 image of excluded sets could not be used: whoever is on them alone was not looked for "
        "by face.",
    ]


@given(
    st.dictionaries(st.sampled_from("ABCDEF"), st.sampled_from("ABC")),
    st.dictionaries(
        st.sampled_from("ABCDEFX"), st.sampled_from([Reason.EXCLUDED_NAME, Reason.EXCLUDED_FACE])
    ),
)
def test_nobody_comes_back_through_a_merge(
    canonical: dict[str, str], direct: dict[str, Reason]
) -> None:
    people = with_merged(direct, canonical)
    out = {canonical.get(name, name) for name in direct}
    for name, group in canonical.items():
        assert (name in people.reasons) == (group in out or name in direct)
    assert people.reasons.keys() == direct.keys() | people.via.keys()
    for name, via in people.via.items():
        assert canonical.get(via, via) == canonical[name]
        assert people.reasons[name] == direct[via]


def test_nobody_is_asked_about_two_who_are_out() -> None:
    rows = [candidate("A", "B"), candidate("A", "C"), candidate("C", "D")]
    exclusion = exclusion_of(finding("face", "A"), finding("name", "B"))
    assert worth_asking(rows, exclusion) == rows[1:]
    assert worth_asking(rows, None) == rows


def test_how_near_the_rest_comes_is_exact_and_found_again(
    tmp_path: Path, row: MakeRow, measured: Any
) -> None:
    storage = Storage(tmp_path)
    settled = [row("a1", "A"), row("b1", "B"), row("c1", "C", Reason.EXCLUDED_FACE)]
    faces = measured({"a1-0": [1, 0, 0], "b1-0": [0.6, 0.8, 0], "c1-0": [0, 0, 1]})
    rows = [row("x1", "Xu"), row("y1", "Yi")]
    theirs = ExcludedSet(
        name="lfw",
        by_name=True,
        claims="claims",
        images=[],
        measured=measured({"x1-0": [0, 1, 0], "y1-0": [0, 0, 1]}),
        crops=None,  # type: ignore[arg-type]
        cleaned=INTRA,
        rows=rows,
    )
    (nearest,) = find_remaining(storage, settled, faces, [theirs])
    assert (nearest.how, nearest.identity, nearest.excluded_identity) == ("remaining", "B", "Xu")
    assert nearest.similarity == pytest.approx(0.8, abs=1e-3)
    assert (nearest.face_id, nearest.excluded_face_id) == ("b1-0", "x1-0")
    stages = storage.names("stages/remaining")
    assert find_remaining(storage, settled, faces, [theirs]) == [nearest]
    assert storage.names("stages/remaining") == stages
    assert find_remaining(storage, settled[2:], faces, [theirs]) == []
