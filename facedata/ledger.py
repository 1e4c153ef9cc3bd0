"""Outcomes and reasons: the only words in which an image's fate is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

from facedata.errors import IntegrityError


class Outcome(StrEnum):
    """What happened to an image in the end; every image has exactly one."""

    KEPT = "kept"
    DROPPED = "dropped"
    MOVED = "moved"
    HELD = "held"


class Reason(StrEnum):
    """Why an image has its outcome; every reason belongs to exactly one outcome."""

    MAIN_CLUSTER = "main_cluster"
    """Kept: a member of the identity's largest cluster."""
    READMITTED = "readmitted"
    """Kept: split off by the first cut, brought back on measured evidence."""
    MERGED_PHOTO = "merged_photo"
    """Kept: too little to judge alone, confirmed by the identity it was merged into."""

    CONFIRMED = "confirmed"
    """Kept: people said that it shows this identity."""

    BELONGS_TO_OTHER = "belongs_to_other"
    """Moved: shows the person of another identity."""

    EMPTY_FILE = "empty_file"
    """Dropped: no bytes."""
    UNREADABLE = "unreadable"
    """Dropped: not an image, or one that cannot be decoded."""
    TOO_LARGE = "too_large"
    """Dropped before decoding: more bytes or pixels than the limit."""
    NO_FACE = "no_face"
    """Dropped: no face found, also after padding."""
    FACE_TOO_SMALL = "face_too_small"
    """Dropped: every face is below ``faces.min_size``."""
    DUPLICATE = "duplicate"
    """Dropped: the same bytes are there for the same identity already."""
    NEAR_DUPLICATE = "near_duplicate"
    """Dropped: a re-encoded or resized copy of another photo of the same identity."""
    OUTLIER = "outlier"
    """Dropped: no face fits this identity or any other."""
    SAME_FACE_CLAIMED_TWICE = "same_face_claimed_twice"
    """Dropped: another identity claims the same face with better evidence."""

    REJECTED = "rejected"
    """Dropped: people said that it does not show this identity."""

    EXCLUDED_NAME = "excluded_name"
    """Dropped: the identity, or one it is merged with, has the name of somebody in an excluded
    set."""
    EXCLUDED_FACE = "excluded_face"
    """Dropped: the identity, or one it is merged with, looks like somebody in an excluded set."""
    EXCLUDED_PHOTO = "excluded_photo"
    """Dropped: the picture is in an excluded set."""

    NO_MAIN_CLUSTER = "no_main_cluster"
    """Held: the identity has no clear main cluster."""
    TAKEN_OVER = "taken_over"
    """Held: the identity's largest cluster shows another identity's person."""
    SINGLE_PHOTO = "single_photo"
    """Held: too few photos of the identity to tell whether they show the right person."""
    PENDING_MERGE = "pending_merge"
    """Held: part of an undecided merge candidate, and the recipe says ``hold-out``."""
    CONTRADICTION = "contradiction"
    """Held: the review's answers about this identity contradict one another."""

    @property
    def outcome(self) -> Outcome:
        """The outcome that this reason explains."""
        return _OUTCOME_OF[self]


_OUTCOME_OF: dict[Reason, Outcome] = {
    **dict.fromkeys(
        (Reason.MAIN_CLUSTER, Reason.READMITTED, Reason.MERGED_PHOTO, Reason.CONFIRMED),
        Outcome.KEPT,
    ),
    Reason.BELONGS_TO_OTHER: Outcome.MOVED,
    **dict.fromkeys(
        (
            Reason.EMPTY_FILE,
            Reason.UNREADABLE,
            Reason.TOO_LARGE,
            Reason.NO_FACE,
            Reason.FACE_TOO_SMALL,
            Reason.DUPLICATE,
            Reason.NEAR_DUPLICATE,
            Reason.OUTLIER,
            Reason.SAME_FACE_CLAIMED_TWICE,
            Reason.REJECTED,
            Reason.EXCLUDED_NAME,
            Reason.EXCLUDED_FACE,
            Reason.EXCLUDED_PHOTO,
        ),
        Outcome.DROPPED,
    ),
    **dict.fromkeys(
        (
            Reason.NO_MAIN_CLUSTER,
            Reason.TAKEN_OVER,
            Reason.SINGLE_PHOTO,
            Reason.PENDING_MERGE,
            Reason.CONTRADICTION,
        ),
        Outcome.HELD,
    ),
}


class HasOutcome(Protocol):
    """Anything with an outcome and a reason, such as ``records.LedgerRow``."""

    @property
    def outcome(self) -> str: ...

    @property
    def reason(self) -> str: ...


def count_outcomes(rows: Iterable[HasOutcome]) -> dict[str, int]:
    """Count rows per outcome; every outcome is present, zero included."""
    found = Counter(row.outcome for row in rows)
    return {outcome.value: found.get(outcome.value, 0) for outcome in Outcome}


def count_reasons(rows: Iterable[HasOutcome]) -> dict[str, int]:
    """Count rows per reason, in the order of ``Reason``; absent reasons are left out."""
    found = Counter(row.reason for row in rows)
    return {reason.value: found[reason.value] for reason in Reason if reason.value in found}


def check_complete(images_in: int, rows: Iterable[HasOutcome]) -> None:
    """Check that in = kept + dropped + moved + held, and that each reason fits its outcome.

    Raises:
        IntegrityError: when an image is missing, counted twice or explained wrongly.
    """
    listed = list(rows)
    for row in listed:
        if Reason(row.reason).outcome != row.outcome:
            raise IntegrityError(
                f"ledger: reason {row.reason!r} does not explain outcome {row.outcome!r}; "
                "this is a defect of the stage that wrote it, please report it"
            )
    if len(listed) != images_in:
        raise IntegrityError(
            f"ledger: {images_in} images came in but {len(listed)} rows account for them; "
            "this is a defect, please report it"
        )
