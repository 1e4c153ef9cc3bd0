from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning.review.agreement import AnnotatorReport, annotator_report, nominal_alpha
from cleaning.review.items import AuditItem, GridItem, PhotoView
from facedata.review import Kind

words = st.sampled_from(["same", "different", "unsure"])
units = st.lists(st.dictionaries(st.sampled_from("ABCD"), words), max_size=20)


def photo(image: str) -> PhotoView:
    return PhotoView(image_id=image, face_id=f"{image}-0", similarity=None, kept=True)


def test_figures_of_each_person(says, pair_item, batch) -> None:
    items = [
        pair_item("a", "b", gold="same"),
        pair_item("c", "d"),
        pair_item("e", "f", gold="different"),
    ]
    answers = [
        says("Ana", "same", seconds=4.0),
        says("Ben", "same"),
        says("Cem", "different", seconds=1.0),
        says("Ana", "unsure", key="c-d", seconds=9.0),
        says("Ben", "different", key="c-d"),
        says("Cem", "different", key="c-d"),
        says("Ana", "different", key="e-f", seconds=5.0),
        says("Ben", "withdrawn", key="e-f"),
        says("Ana", "same", key="of no question"),
        says("Ana", "same", batch="pairs-0009"),
    ]
    report = annotator_report([batch(*items, overlap=2)], answers)
    assert report.annotators == (
        AnnotatorReport(
            annotator="Ana",
            answered=3,
            unsure=1,
            median_seconds=5.0,
            gold_answered=2,
            gold_right=2,
            # a–b: Ben and Cem differ, so there is nothing to compare with.
            compared=1,
            agreed=0,
        ),
        AnnotatorReport(
            annotator="Ben",
            answered=2,
            unsure=0,
            median_seconds=None,
            gold_answered=1,
            gold_right=1,
            compared=0,
            agreed=0,
        ),
        AnnotatorReport(
            annotator="Cem",
            answered=2,
            unsure=0,
            median_seconds=1.0,
            gold_answered=1,
            gold_right=0,
            compared=1,
            agreed=0,
        ),
    )
    ana, ben, cem = report.annotators
    assert (ana.unsure_share, ana.gold_accuracy, ana.agreement) == (1 / 3, 1.0, 0.0)
    assert (ben.agreement, cem.gold_accuracy) == (None, 0.0)


def test_kinds_are_counted_apart_and_photos_one_by_one(says, pair_item, side, batch) -> None:
    pair = pair_item("a", "b")
    grid = GridItem(
        key="g", reference=side("a"), photos=tuple(map(photo, ["1", "2", "3"])), why="held"
    )
    audit = AuditItem(key="q", reference=side("a"), photo=photo("4"))
    batches = [
        batch(pair),
        batch(grid, kind=Kind.PHOTOS),
        batch(audit, kind=Kind.AUDIT, overlap=2),
    ]
    in_grid = {"batch": "photos-0001", "key": "g"}
    answers = [
        says("Ana", "same"),
        says("Ben", "different"),
        says("Ana", "seen", wrong=("1", "2"), **in_grid),
        says("Ben", "seen", wrong=("1",), **in_grid),
        says("Ana", "right", batch="audit-0001", key="q"),
    ]
    report = annotator_report(batches, answers)
    assert report.ties == {Kind.PAIRS: 1, Kind.PHOTOS: 1, Kind.AUDIT: 0}
    assert report.alpha[Kind.AUDIT] is None
    # Coincidences of the grid: wrong with wrong 2, right with right 2, mixed 2 of 6.
    assert report.alpha[Kind.PHOTOS] == pytest.approx(1 - (2 / 6) / (18 / 30))
    ana, ben = report.annotators
    assert (ana.answered, ana.compared, ana.agreed) == (3, 4, 2)
    assert (ben.answered, ben.compared, ben.agreed) == (2, 4, 2)


def test_no_answers_give_an_empty_report(pair_item, batch) -> None:
    report = annotator_report([batch(pair_item("a", "b"))], [])
    assert (report.annotators, report.alpha, report.ties) == ((), {}, {})


def test_alpha_of_the_published_example() -> None:
    # Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: 0.743.
    coders = {
        "A": "1 2 3 3 2 1 4 1 2 . . .",
        "B": "1 2 3 3 2 2 4 1 2 5 . 3",
        "C": ". 3 3 3 2 3 4 2 2 5 1 .",
        "D": "1 2 3 3 2 4 4 1 2 5 1 .",
    }
    columns = zip(*(said.split() for said in coders.values()), strict=True)
    table = [
        {coder: word for coder, word in zip(coders, column, strict=True) if word != "."}
        for column in columns
    ]
    assert nominal_alpha(table) == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize(
    "table",
    [
        [],
        [{"A": "same"}, {"B": "different"}],
        [{"A": "same", "B": "same"}, {"A": "same", "B": "same"}],
        [{"A": "same", "B": "same"}, {"A": "different"}],
    ],
    ids=["nothing", "one person each", "one word", "one word among those compared"],
)
def test_alpha_is_none_where_it_is_undefined(table: list[dict[str, str]]) -> None:
    assert nominal_alpha(table) is None


@pytest.mark.filterwarnings("error")
@given(units)
def test_alpha_is_at_most_one_and_one_exactly_when_all_agree(table: list[dict[str, str]]) -> None:
    alpha = nominal_alpha(table)
    compared = [set(unit.values()) for unit in table if len(unit) > 1]
    assert (alpha is None) == (len(set().union(*compared)) < 2)
    if alpha is not None:
        assert -1 <= alpha <= 1
        assert (alpha == pytest.approx(1)) == all(len(said) == 1 for said in compared)


@given(units)
def test_a_report_does_not_depend_on_who_answered_first(says, pair_item, batch, table) -> None:
    items = [pair_item("a", f"b{number}") for number in range(len(table))]
    answers = [
        says(name, word, key=item.key)
        for item, unit in zip(items, table, strict=True)
        for name, word in unit.items()
    ]
    report = annotator_report([batch(*items)], answers)
    assert annotator_report([batch(*items)], answers[::-1]) == report
    assert sum(person.answered for person in report.annotators) == len(answers)
    again = [replace(row, answer="unsure") for row in answers]
    taken_back = [replace(row, answer="withdrawn") for row in answers]
    assert annotator_report([batch(*items)], [*again, *answers]) == report
    assert annotator_report([batch(*items)], [*answers, *taken_back]).annotators == ()
