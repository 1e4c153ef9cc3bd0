"""What the report says about the people who decided, and about the noise that they found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cleaning.export.wording import count_of, interval_of, percent_of

NOT_AUDITED = (
    "How many wrong photos are left: no sample of the kept photos has been checked by people."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorFact:
    """One person's work, under a name that may be published.

    ``gold_right`` of ``gold_answered`` control questions were right; ``agreed`` of ``compared``
    answers were those of the other people.
    """

    name: str
    answered: int
    gold_answered: int
    gold_right: int
    compared: int
    agreed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KindFact:
    """The decisions about one kind of question.

    ``yes`` counts same person, or right photo, ``no`` the opposite. ``ties`` is how often people
    were evenly split, ``alpha`` Krippendorff's alpha; each None when it was not measured.
    """

    title: str
    yes: int
    no: int
    unsure: int
    ties: int | None = None
    alpha: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFacts:
    """Who decided what; ``inferred`` counts candidates whose answer follows from others."""

    kinds: Sequence[KindFact] = ()
    annotators: Sequence[AnnotatorFact] = ()
    inferred: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFacts:
    """What a random sample of the photos showed.

    ``sampled`` of ``photos_in`` photos were drawn; ``pending`` wait for an answer. ``noise`` is
    the share of wrong photos among those judged, None when there are none, with the bounds
    ``low`` and ``high`` of its 95 % confidence interval. ``max_noise`` is what the recipe allows.
    """

    photos_in: int
    sampled: int
    wrong: int
    right: int
    unsure: int
    pending: int
    noise: float | None
    low: float
    high: float
    max_noise: float | None = None

    @property
    def estimate(self) -> str:
        """The estimate with its interval, in words."""
        return "not known" if self.noise is None else interval_of(self.noise, self.low, self.high)

    @property
    def warning(self) -> str:
        """What to know about a version whose estimate is allowed but not proven; else empty."""
        if self.max_noise is None or self.noise is None or self.high <= self.max_noise:
            return ""
        return (
            f"The interval reaches above the {percent_of(self.max_noise)} that the recipe allows: "
            "a larger sample would tell."
        )

    def in_words(self) -> str:
        """Sentences on how many wrong photos are left."""
        if self.noise is None:
            return NOT_AUDITED
        said = [
            f"How many wrong photos are left: {self.estimate}, from a random sample of "
            f"{count_of(self.sampled, 'photo')} of {self.photos_in:,}, of which {self.wrong:,} "
            f"{'was' if self.wrong == 1 else 'were'} wrong; those were dropped.",
            f"People could not judge {self.unsure:,} of them." if self.unsure else "",
            f"{self.pending:,} of them wait for an answer." if self.pending else "",
            self.warning,
        ]
        return " ".join(part for part in said if part)
