"""What people are asked and what they answered: candidates, and decisions about pairs and photos.

Decisions are append-only: the latest row about a pair or a photo counts, taking one back is a new
row, and no row is ever changed or removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import pyarrow as pa

PENDING = "pending"
"""Nobody has decided, or a decision was taken back."""

Pair = tuple[str, str]
"""Two identities, the smaller name first."""


class Answer(StrEnum):
    """What a person can answer to "are these two identities the same person?"."""

    SAME = "same"
    DIFFERENT = "different"
    UNSURE = "unsure"


class PhotoAnswer(StrEnum):
    """What a person can answer to "does this photo show this identity?"."""

    RIGHT = "right"
    WRONG = "wrong"
    UNSURE = "unsure"


class Kind(StrEnum):
    """The kinds of question that people are asked; each is a project of its own."""

    PAIRS = "pairs"
    """Merge candidates."""
    SENIOR = "senior"
    """Merge candidates whose answers contradict one another, for experienced reviewers."""
    PHOTOS = "photos"
    """Photos of one identity in a grid: held identities, and photos near the cut."""
    AUDIT = "audit"
    """A random sample of the photos that would be released, one at a time."""


def ordered_pair(identity_a: str, identity_b: str) -> Pair:
    """Return the two names in the order in which every record holds them."""
    return (identity_a, identity_b) if identity_a < identity_b else (identity_b, identity_a)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRow:
    """Two identities that may be one person, with what was decided.

    ``identity_a`` < ``identity_b`` by name. ``max_similarity`` is the cosine of their nearest
    pair of faces, ``face_a`` and ``face_b``. ``decision`` is ``same``, ``different``,
    ``unsure`` or ``pending``; ``decided_at`` ISO 8601 in UTC.
    """

    identity_a: str
    identity_b: str
    max_similarity: float
    face_a: str
    face_b: str
    decision: str
    decided_by: str | None
    decided_at: str | None

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("identity_a", pa.string(), nullable=False),
            pa.field("identity_b", pa.string(), nullable=False),
            pa.field("max_similarity", pa.float32(), nullable=False),
            pa.field("face_a", pa.string(), nullable=False),
            pa.field("face_b", pa.string(), nullable=False),
            pa.field("decision", pa.string(), nullable=False),
            pa.field("decided_by", pa.string()),
            pa.field("decided_at", pa.string()),
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEvidence:
    """What was measured about a merge candidate; ``identity_a`` < ``identity_b`` by name.

    ``max_similarity`` is the cosine of the nearest two faces, ``face_a`` and ``face_b``;
    ``centroid_similarity`` the cosine of the two mean embeddings; ``close_pairs`` the number of
    pairs of faces at or above the candidates' threshold; ``photos_a`` and ``photos_b`` how many
    photos each identity would ship.
    """

    identity_a: str
    identity_b: str
    max_similarity: float
    face_a: str
    face_b: str
    centroid_similarity: float
    close_pairs: int
    photos_a: int
    photos_b: int

    @property
    def pair(self) -> Pair:
        """The two identities."""
        return (self.identity_a, self.identity_b)

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("identity_a", pa.string(), nullable=False),
            pa.field("identity_b", pa.string(), nullable=False),
            pa.field("max_similarity", pa.float32(), nullable=False),
            pa.field("face_a", pa.string(), nullable=False),
            pa.field("face_b", pa.string(), nullable=False),
            pa.field("centroid_similarity", pa.float32(), nullable=False),
            pa.field("close_pairs", pa.int64(), nullable=False),
            pa.field("photos_a", pa.int32(), nullable=False),
            pa.field("photos_b", pa.int32(), nullable=False),
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision of people about a pair of identities.

    ``identity_a`` < ``identity_b`` by name; ``decision`` is an ``Answer``, or ``pending`` when a
    decision was taken back; ``decided_at`` ISO 8601 in UTC. The evidence they saw: the nearest
    faces, their similarity, and the recogniser (its name and the first digits of its digest).
    """

    identity_a: str
    identity_b: str
    decision: str
    decided_by: str
    decided_at: str
    note: str = ""
    """What the person wrote beside the answer."""
    face_a: str = ""
    face_b: str = ""
    max_similarity: float | None = None
    model: str = ""
    kind: str = ""
    """The ``Kind`` of question, empty for answers from a file or a command."""

    def __post_init__(self) -> None:
        """Refuse a word that is not an answer, with ``ValueError``."""
        _check_word(self.decision, Answer)

    @property
    def pair(self) -> Pair:
        """The two identities."""
        return (self.identity_a, self.identity_b)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoDecision:
    """One decision of people about whether a photo shows an identity.

    ``decision`` is a ``PhotoAnswer``, or ``pending`` when taken back; ``kind`` is ``photos`` or
    ``audit``. ``similarity`` is the face's cosine to the centre of the main cluster it was judged
    against, ``model`` the recogniser that measured it.
    """

    image_id: str
    identity: str
    face_id: str
    decision: str
    kind: str
    decided_by: str
    decided_at: str
    note: str = ""
    similarity: float | None = None
    model: str = ""

    def __post_init__(self) -> None:
        """Refuse a word that is not an answer, with ``ValueError``."""
        _check_word(self.decision, PhotoAnswer)


def _check_word(word: str, answers: type[StrEnum]) -> None:
    allowed = [*answers, PENDING]
    if word not in allowed:
        raise ValueError(f"the decision is {word!r}; allowed are {', '.join(allowed)}")
