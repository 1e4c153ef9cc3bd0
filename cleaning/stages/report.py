"""What the report of a version says, gathered from the stages' results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from cleaning.export.exclusion_facts import ExclusionFacts
from cleaning.export.galleries import build_galleries, build_pair_cards
from cleaning.export.histogram import Histogram, Threshold, Tone, make_histogram
from cleaning.export.report import ModelFact, ReportData, ThresholdFact
from cleaning.export.review_facts import AnnotatorFact, AuditFacts, KindFact, ReviewFacts
from cleaning.export.summary import summarise
from cleaning.export.wording import public_name
from cleaning.identity.merge import Contradiction
from cleaning.review.agreement import AgreementReport, annotator_report
from cleaning.review.decisions import INFERRED, latest, latest_photos
from cleaning.stages.crops import CropReader
from cleaning.stages.measured import Measured
from cleaning.stages.review_folder import ReviewFolder
from facedata.ledger import Reason
from facedata.recipe import Recipe
from facedata.records import ImageRecord, LedgerRow
from facedata.review import (
    PENDING,
    Answer,
    CandidateRow,
    Decision,
    Kind,
    PhotoAnswer,
    PhotoDecision,
)

# Enough for a smooth histogram, few enough for any number of photos.
_SAMPLED_FACES = 3_000
_FROM_RECIPE = "set in the recipe"
_CALIBRATED = "calibrated on this data"
_BY_FILE = "Pairs, from a file or command"
_TITLES = {
    Kind.PAIRS.value: "Pairs of identities",
    Kind.SENIOR.value: "Contradicting pairs, asked again",
    Kind.PHOTOS.value: "Photos of held identities and near the cut",
    Kind.AUDIT.value: "Audit of released photos",
}
_YES = (Answer.SAME, PhotoAnswer.RIGHT)
_NO = (Answer.DIFFERENT, PhotoAnswer.WRONG)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInput:
    """A version's content, before it is written; ``calibration`` is the intra stage's fact."""

    version: str
    parent: str | None
    code_version: str
    recipe: Recipe
    images: Sequence[ImageRecord]
    rows: Sequence[LedgerRow]
    candidates: Sequence[CandidateRow]
    contradictions: Sequence[Contradiction]
    measured: Measured
    models: Mapping[str, str]
    calibration: Mapping[str, Any]
    candidate_threshold: float
    copies: Mapping[str, int]
    crops: CropReader
    review: ReviewFolder
    audit: AuditFacts | None
    exclusion: ExclusionFacts | None = None


def report_data(given: ReportInput) -> ReportData:
    """Gather everything the report says; bounded whatever the number of photos."""
    shipped = [
        image
        for image, row in zip(given.images, given.rows, strict=True)
        if row.identity is not None
    ]
    return ReportData(
        name=given.recipe.name,
        version=given.version,
        parent=given.parent,
        code_version=given.code_version,
        summary=summarise(given.rows),
        thresholds=_thresholds(given),
        histograms=_histograms(given),
        galleries=build_galleries(given.rows, given.crops),
        candidates=given.candidates,
        pairs=build_pair_cards(given.candidates, given.crops),
        contradictions=[(c.identity_a, c.identity_b) for c in given.contradictions],
        models=[
            ModelFact(role=role, name=name, digest=digest)
            for role, (name, digest) in zip(
                ("detector", "recogniser"), given.models.items(), strict=False
            )
        ],
        licences=dict(Counter(image.licence for image in shipped)),
        recipe=yaml.safe_dump(given.recipe.model_dump(mode="json"), sort_keys=False),
        notes=_copy_notes(given.copies),
        review=review_facts(given.review, given.candidates),
        audit=given.audit,
        exclusion=given.exclusion,
    )


def review_facts(folder: ReviewFolder, candidates: Sequence[CandidateRow]) -> ReviewFacts | None:
    """Who decided what, None when nobody decided anything yet."""
    report = annotator_report(
        [folder.batch(name) for name in folder.batch_names()], folder.answers()
    )
    kinds = _kinds(folder, report)
    if not kinds and not report.annotators:
        return None
    return ReviewFacts(
        kinds=kinds,
        annotators=[
            AnnotatorFact(
                name=public_name(person.annotator),
                answered=person.answered,
                gold_answered=person.gold_answered,
                gold_right=person.gold_right,
                compared=person.compared,
                agreed=person.agreed,
            )
            for person in report.annotators
        ],
        inferred=sum(row.decided_by == INFERRED for row in candidates),
    )


def _kinds(folder: ReviewFolder, report: AgreementReport) -> list[KindFact]:
    decided: list[Decision | PhotoDecision] = [
        *latest(folder.decisions()).values(),
        *latest_photos(folder.photo_decisions()).values(),
    ]
    counts: dict[str, Counter[str]] = {}
    for row in (row for row in decided if row.decision != PENDING):
        counts.setdefault(row.kind, Counter())[row.decision] += 1
    return [
        KindFact(
            title=title,
            yes=sum(counts[kind][word] for word in _YES),
            no=sum(counts[kind][word] for word in _NO),
            unsure=counts[kind][Answer.UNSURE],
            ties=report.ties.get(Kind(kind)) if kind else None,
            alpha=report.alpha.get(Kind(kind)) if kind else None,
        )
        for kind, title in (*_TITLES.items(), ("", _BY_FILE))
        if kind in counts
    ]


def _copy_notes(copies: Mapping[str, int]) -> list[str]:
    if not copies["across"]:
        return []
    return [f"Photos that stand under several identities, by bytes or nearly: {copies['across']}."]


def _thresholds(given: ReportInput) -> list[ThresholdFact]:
    calibration, recipe = given.calibration, given.recipe
    evidence = _evidence(calibration["pairs"])
    cut_origin = _CALIBRATED if recipe.intra.threshold == "auto" else _FROM_RECIPE
    candidate_origin = _CALIBRATED if recipe.inter.threshold == "auto" else _FROM_RECIPE
    return [
        ThresholdFact(
            name="First cut", value=calibration["cut"], origin=cut_origin, facts=evidence
        ),
        ThresholdFact(name="Readmission", value=calibration["readmit"], origin=_CALIBRATED),
        ThresholdFact(name="Moving", value=calibration["move"], origin=_CALIBRATED),
        ThresholdFact(
            name="Merge candidate",
            value=given.candidate_threshold,
            origin=candidate_origin,
            facts=(("target false-match rate", f"{recipe.inter.target_fmr:g}"),),
        ),
    ]


def _evidence(pairs: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What the thresholds rest on, in words."""
    different = pairs["different"]
    return (
        ("pairs of different people measured", f"{different['samples']:,}"),
        ("their median similarity", f"{different['location']:.3f}"),
        ("their spread", f"{different['scale']:.3f}"),
        (f"reached by {different['start_rate']:.0%} of them", f"{different['start']:.3f}"),
        ("median of pairs of one person", f"{pairs['same_median']:.3f}"),
    )


def _histograms(given: ReportInput) -> list[Histogram]:
    return [_to_centre(given), *_between_faces(given)]


def _to_centre(given: ReportInput) -> Histogram:
    judged = [row for row in given.rows if row.similarity is not None]
    kept = [row.similarity for row in judged if row.identity is not None]
    dropped = [row.similarity for row in judged if row.reason == Reason.OUTLIER]
    return make_histogram(
        "Similarity to the centre of the identity",
        {
            ("Shipped", Tone.GOOD): np.array(kept, np.float32),
            ("Dropped as outliers", Tone.BAD): np.array(dropped, np.float32),
        },
        [Threshold(label="Readmission", value=given.calibration["readmit"])],
    )


def _between_faces(given: ReportInput) -> list[Histogram]:
    """Pairs of shipped faces, same identity against different ones, from an even sample."""
    row_of = {face_id: row for row, face_id in enumerate(given.measured.face_ids())}
    shipped = [row for row in given.rows if row.identity is not None and row.face_id in row_of]
    step = max(1, -(-len(shipped) // _SAMPLED_FACES))
    sample = sorted(shipped, key=lambda row: row.identity or "")[::step]
    if len(sample) < 2:
        return []
    faces = given.measured.embeddings[[row_of[row.face_id or ""] for row in sample]]
    names = np.unique([row.identity or "" for row in sample], return_inverse=True)[1]
    similarity = faces.astype(np.float32) @ faces.astype(np.float32).T
    upper: NDArray[np.bool_] = np.triu(np.ones(similarity.shape, bool), k=1)
    same = names[:, None] == names[None, :]
    return [
        make_histogram(
            "Similarity between two shipped faces",
            {
                ("Same identity", Tone.GOOD): similarity[upper & same],
                ("Different identities", Tone.BAD): similarity[upper & ~same],
            },
            [
                Threshold(label="First cut", value=given.calibration["cut"]),
                Threshold(label="Merge candidate", value=given.candidate_threshold),
            ],
        )
    ]
