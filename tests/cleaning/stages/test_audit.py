"""The audit's sample, its answers, and the versions that it stops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cleaning.review.audit import sample_audit
from cleaning.stages.audit import Audit, AuditFrame, audit_of, check_noise
from facedata.errors import QualityError
from facedata.ledger import Reason
from facedata.options import ReleaseOptions
from facedata.records import LedgerRow
from facedata.review import Kind, PhotoDecision


@pytest.fixture
def rows(row: Any) -> list[LedgerRow]:
    return [row(str(number), "AB"[number % 2]) for number in range(200)]


def audited(
    rows: list[LedgerRow],
    log: list[PhotoDecision],
    settled: list[LedgerRow] | None = None,
    **options: Any,
) -> Audit:
    frame = AuditFrame(
        rows=rows, settled=settled or rows, options=ReleaseOptions(**options), seed=7
    )
    found = audit_of(frame, log)
    assert found is not None
    return found


def answers(said: Any, audit: Audit, *words: str) -> list[PhotoDecision]:
    """Answers to the first photos of the sample."""
    return [
        said(photo.image_id, photo.identity, word, Kind.AUDIT)
        for photo, word in zip(audit.photos, words, strict=False)
    ]


def test_without_the_wish_there_is_none(rows: Any) -> None:
    frame = AuditFrame(rows=rows, settled=rows, options=ReleaseOptions(), seed=7)
    assert audit_of(frame, []) is None
    check_noise(None, "people")


def test_the_sample_is_drawn_from_what_would_ship(row: Any, rows: Any) -> None:
    audit = audited([*rows, row("x", "A", Reason.OUTLIER)], [], audit=500)
    assert (len(audit.photos), audit.photos_in, audit.pending) == (200, 200, 200)
    small = audited(rows, [], audit=20)
    photos = [(row.image_id, row.identity) for row in rows]
    drawn = [photos[index] for index in sample_audit(photos, 20, 7)]
    assert [(photo.image_id, photo.identity) for photo in small.photos] == drawn
    assert small.photos == audit.photos[:20]


def test_a_merge_changes_neither_the_sample_nor_whom_it_asks_about(said: Any, rows: Any) -> None:
    merged = [replace(row, identity="A") for row in rows]
    before, after = audited(rows, [], audit=20), audited(rows, [], merged, audit=20)
    assert [(p.image_id, p.identity) for p in after.photos] == [
        (p.image_id, p.identity) for p in before.photos
    ]
    assert {p.released_as for p in after.photos} == {"A"}
    log = answers(said, before, *["right"] * 20)
    assert audited(rows, log, merged, audit=20).pending == 0


def test_only_answers_to_the_audit_count_and_the_latest_does(said: Any, rows: Any) -> None:
    sample = audited(rows, [], audit=6)
    words = ["wrong", "right", "right", "unsure", "wrong"]
    log = answers(said, sample, *words)
    last = sample.photos[4]
    log.append(said(last.image_id, last.identity, "pending", Kind.AUDIT))
    log.append(said(sample.photos[5].image_id, sample.photos[5].identity, "right"))
    found = audited(rows, log, audit=6)
    assert [photo.answer for photo in found.photos] == [*words[:4], "pending", "pending"]
    facts = found.facts()
    assert (facts.wrong, facts.right, facts.unsure, facts.pending) == (1, 2, 1, 2)
    assert facts.noise == pytest.approx(1 / 3)
    assert (facts.sampled, facts.photos_in) == (6, 200)


def test_an_unanswered_sample_stops_the_release(said: Any, rows: Any) -> None:
    sample = audited(rows, [], audit=10)
    log = answers(said, sample, *["right"] * 9)
    with pytest.raises(QualityError) as refused:
        check_noise(audited(rows, log, audit=10, max_noise=0.05), "people")
    assert str(refused.value) == (
        "people: audit photos without an answer: 1 of 10, and release.max_noise is 0.05; "
        "answer the audit batch, then build again"
    )
    check_noise(audited(rows, log, audit=10), "people")


def test_too_much_noise_stops_the_release(said: Any, rows: Any) -> None:
    sample = audited(rows, [], audit=10)
    log = answers(said, sample, "wrong", *["right"] * 9)
    with pytest.raises(QualityError) as refused:
        check_noise(audited(rows, log, audit=10, max_noise=0.05), "people")
    assert str(refused.value) == (
        "people: wrong photos in the audit: 1 of 10, 10.0 % (95 % interval 0.25 % to 44.5 %), "
        "above release.max_noise 0.05; review the photos near the cut, or raise intra.threshold, "
        "then build again"
    )


def test_a_sample_that_nobody_can_judge_stops_the_release(said: Any, rows: Any) -> None:
    sample = audited(rows, [], audit=3)
    log = answers(said, sample, *["unsure"] * 3)
    with pytest.raises(QualityError, match="nobody could judge any of the 3 audit photos"):
        check_noise(audited(rows, log, audit=3, max_noise=0.05), "people")


def test_an_allowed_estimate_is_released_with_a_warning_until_it_is_proven(
    said: Any, rows: Any
) -> None:
    sample = audited(rows, [], audit=200)
    few = audited(rows, answers(said, sample, *["right"] * 20), audit=20, max_noise=0.05)
    check_noise(few, "people")
    assert few.facts().high == pytest.approx(0.1684, abs=1e-4)
    assert few.facts().warning == (
        "The interval reaches above the 5.0 % that the recipe allows: a larger sample would tell."
    )
    many = audited(rows, answers(said, sample, *["right"] * 200), audit=200, max_noise=0.05)
    check_noise(many, "people")
    assert many.facts().warning == ""


def test_nothing_to_release_is_nothing_to_audit(row: Any) -> None:
    rows = [row("1", "A", Reason.OUTLIER)]
    audit = audited(rows, [], audit=10, max_noise=0.01)
    check_noise(audit, "people")
    assert audit.photos == ()
