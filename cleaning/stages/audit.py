"""The audit: how many wrong photos a version would hold, and whether that is too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cleaning.export.review_facts import AuditFacts
from cleaning.export.wording import interval_of
from cleaning.review.audit import NoiseEstimate, estimate_noise, sample_audit
from cleaning.review.decisions import latest_photos
from cleaning.stages.settle import hopeful_identity
from facedata.errors import QualityError
from facedata.options import ReleaseOptions
from facedata.records import LedgerRow
from facedata.review import PENDING, Kind, PhotoAnswer, PhotoDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPhoto:
    """A photo of the sample.

    ``identity`` is the name that its decision is about: the one before merges, which stays right
    when a merge is taken back. ``released_as`` is the name it would be released under.
    ``answer`` is a ``PhotoAnswer``, or ``pending``.
    """

    image_id: str
    identity: str
    released_as: str
    face_id: str
    similarity: float | None
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The sample in the order of its draw, and what its answers say.

    ``photos_in`` counts the photos that it was drawn from.
    """

    photos: tuple[AuditPhoto, ...]
    photos_in: int
    noise: NoiseEstimate
    max_noise: float | None

    @property
    def pending(self) -> int:
        """How many photos of the sample wait for an answer."""
        return sum(photo.answer == PENDING for photo in self.photos)

    def facts(self) -> AuditFacts:
        """What the report and the build's output say."""
        return AuditFacts(
            photos_in=self.photos_in,
            sampled=len(self.photos),
            wrong=self.noise.wrong,
            right=self.noise.right,
            unsure=self.noise.unsure,
            pending=self.pending,
            noise=self.noise.noise,
            low=self.noise.low,
            high=self.noise.high,
            max_noise=self.max_noise,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFrame:
    """The photos that would be released if nobody had audited any.

    ``rows`` is the ledger before decisions about identities, ``settled`` the one after them,
    row-aligned. ``seed`` draws the sample.
    """

    rows: Sequence[LedgerRow]
    settled: Sequence[LedgerRow]
    options: ReleaseOptions
    seed: int


def audit_of(frame: AuditFrame, decisions: Iterable[PhotoDecision]) -> Audit | None:
    """Draw the sample and look its answers up; None when the recipe asks for no audit.

    Decisions of other kinds than ``audit`` are no answers: those photos were not drawn at random.
    """
    if not frame.options.audit:
        return None
    answers = latest_photos(row for row in decisions if row.kind == Kind.AUDIT)
    shipped = _shipped(frame)
    keys = list(shipped)
    drawn = sample_audit(keys, frame.options.audit, frame.seed)
    photos = tuple(
        _photo(key, shipped[key], answers[key].decision if key in answers else PENDING)
        for key in (keys[index] for index in drawn)
    )
    found = Counter(photo.answer for photo in photos)
    return Audit(
        photos=photos,
        photos_in=len(shipped),
        noise=estimate_noise(
            found[PhotoAnswer.WRONG], found[PhotoAnswer.RIGHT], found[PhotoAnswer.UNSURE]
        ),
        max_noise=frame.options.max_noise,
    )


def check_noise(audit: Audit | None, dataset: str) -> None:
    """Refuse a version that may hold more wrong photos than the recipe allows.

    Raises:
        QualityError: when photos of the sample wait for an answer, when none could be judged, or
            when the estimate is above ``max_noise``.
    """
    if audit is None or audit.max_noise is None or not audit.photos:
        return
    if audit.pending:
        raise QualityError(
            f"{dataset}: audit photos without an answer: {audit.pending} of {len(audit.photos)}, "
            f"and release.max_noise is {audit.max_noise:g}; answer the audit batch, then build "
            "again"
        )
    noise = audit.noise
    if noise.noise is None:
        raise QualityError(
            f"{dataset}: nobody could judge any of the {len(audit.photos)} audit photos, and "
            f"release.max_noise is {audit.max_noise:g}; raise release.audit for a larger sample, "
            "or remove release.max_noise"
        )
    if noise.noise > audit.max_noise:
        raise QualityError(
            f"{dataset}: wrong photos in the audit: {noise.wrong} of {noise.wrong + noise.right}, "
            f"{interval_of(noise.noise, noise.low, noise.high)}, above release.max_noise "
            f"{audit.max_noise:g}; review the photos near the cut, or raise intra.threshold, then "
            "build again"
        )


def _shipped(frame: AuditFrame) -> dict[tuple[str, str], LedgerRow]:
    """The photos to be released, by image and the name their decision is about."""
    return {
        (after.image_id, hopeful_identity(before) or after.identity): after
        for before, after in zip(frame.rows, frame.settled, strict=True)
        if after.identity is not None
    }


def _photo(key: tuple[str, str], row: LedgerRow, answer: str) -> AuditPhoto:
    image_id, identity = key
    return AuditPhoto(
        image_id=image_id,
        identity=identity,
        released_as=row.identity or identity,
        face_id=row.face_id or "",
        similarity=row.similarity,
        answer=answer,
    )
