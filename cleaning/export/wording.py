"""How the report says things: reasons in plain words, numbers and shares."""

from __future__ import annotations

import re

from facedata.ledger import Outcome, Reason

# What follows the local part, for every address in a list of them.
_ADDRESS_REST = re.compile(r"(?<=[^\s,;@])@[^\s,;]+")

REASONS: dict[Reason, str] = {
    Reason.MAIN_CLUSTER: "In the identity's largest cluster",
    Reason.READMITTED: "Split off by the first cut, brought back on evidence",
    Reason.MERGED_PHOTO: "Confirmed by the identity it was merged into",
    Reason.CONFIRMED: "People confirmed that it shows the identity",
    Reason.BELONGS_TO_OTHER: "Shows the person of another identity",
    Reason.EMPTY_FILE: "Empty file",
    Reason.UNREADABLE: "Not an image, or not readable",
    Reason.TOO_LARGE: "More bytes or pixels than the limit",
    Reason.NO_FACE: "No face found",
    Reason.FACE_TOO_SMALL: "Every face is too small",
    Reason.DUPLICATE: "Same bytes as another photo of the identity",
    Reason.NEAR_DUPLICATE: "Copy of another photo of the identity, saved again",
    Reason.OUTLIER: "No face fits this identity or any other",
    Reason.SAME_FACE_CLAIMED_TWICE: "Another identity claims the same face with better evidence",
    Reason.REJECTED: "People said that it does not show the identity",
    Reason.EXCLUDED_NAME: "The name of somebody in an excluded set",
    Reason.EXCLUDED_FACE: "Looks like somebody in an excluded set",
    Reason.EXCLUDED_PHOTO: "The picture is in an excluded set",
    Reason.NO_MAIN_CLUSTER: "The identity has no clear main cluster",
    Reason.TAKEN_OVER: "The identity's largest cluster shows another identity's person",
    Reason.SINGLE_PHOTO: "Too few photos of the identity to judge",
    Reason.PENDING_MERGE: "The identity may be the same person as another; not decided yet",
    Reason.CONTRADICTION: "Review answers about the identity contradict one another",
}

OUTCOMES: dict[Outcome, str] = {
    Outcome.KEPT: "in the set, under the claimed identity or the one it was merged into",
    Outcome.MOVED: "in the set, under the identity it really shows",
    Outcome.DROPPED: "not in the set",
    Outcome.HELD: "not in the set until people decide",
}


def count_of(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, such as ``1 photo`` or ``2,000 photos``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def share_of(part: int, whole: int) -> str:
    """Return ``part`` of ``whole`` in percent, never rounded to 0 or 100 when it is not."""
    return "–" if whole == 0 else percent_of(part / whole)


def percent_of(share: float) -> str:
    """Return a share in [0, 1] in percent, never rounded to 0 or 100 when it is not."""
    percent = 100 * share
    if 0 < percent < 0.01:
        return "< 0.01 %"
    if 99.99 < percent < 100:
        return "> 99.99 %"
    if percent in (0, 100):
        return f"{percent:.0f} %"
    digits = 2 if percent < 1 or percent > 99 else 1
    return f"{percent:.{digits}f} %"


def interval_of(share: float, low: float, high: float) -> str:
    """Return an estimated share with its interval: ``2.0 % (95 % interval 0.24 % to 7.0 %)``."""
    return f"{percent_of(share)} (95 % interval {percent_of(low)} to {percent_of(high)})"


def public_name(reviewer: str) -> str:
    """Return who decided without the rest of an e-mail address: ``ana@example.org`` is ``ana``."""
    return _ADDRESS_REST.sub("", reviewer)
