"""What the report and the data card say about excluded sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cleaning.export.wording import count_of
from facedata.exclusion import ExclusionRow, How

HOWS: dict[str, str] = {
    How.NAME: "has the name",
    How.FACE: "looks like",
    How.PHOTO: "shares a picture",
    How.MERGED: "is one person with somebody out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedSetFact:
    """One excluded set: what it holds, and what the version lost because of it.

    ``faces`` stand for its ``identities``; ``unusable`` images show nobody. ``people`` are
    identities that came in and are out, ``pictures`` images that are out beside those.
    ``closest`` is the nearest pair of faces that is left, None when the version is empty.
    """

    name: str
    by_name: bool
    identities: int
    images: int
    unusable: int
    faces: int
    people: int
    pictures: int
    closest: ExclusionRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExclusionFacts:
    """All excluded sets; ``threshold`` is the similarity from which a face puts somebody out.

    ``rows`` are the certificate's. ``open_pairs`` counts pairs of somebody out and somebody in the
    version about which people have not decided.
    """

    threshold: float
    origin: str
    sets: Sequence[ExcludedSetFact]
    rows: Sequence[ExclusionRow]
    open_pairs: int

    @property
    def people(self) -> list[ExclusionRow]:
        """The rows that put whole identities out, by name of the identity."""
        rows = [row for row in self.rows if row.how in (How.NAME, How.FACE, How.MERGED)]
        return sorted(rows, key=lambda row: (row.identity, row.excluded_set, row.how))

    def in_words(self) -> list[str]:
        """A sentence for each set."""
        return [self._set_in_words(fact) for fact in self.sets]

    def unknowns(self) -> list[str]:
        """What an exclusion cannot know, as far as it applies."""
        unusable = sum(fact.unusable for fact in self.sets)
        found = [
            (
                self.open_pairs,
                f"{count_of(self.open_pairs, 'identity', 'identities')} of the version may be "
                "somebody of an excluded set under another name: nobody has decided yet.",
            ),
            (
                unusable,
                f"{count_of(unusable, 'image')} of excluded sets could not be used: whoever is on "
                "them alone was not looked for by face.",
            ),
        ]
        return [text for count, text in found if count]

    def _set_in_words(self, fact: ExcludedSetFact) -> str:
        held = count_of(fact.identities, "identity", "identities")
        people = count_of(fact.people, "identity", "identities")
        pictures = count_of(fact.pictures, "further picture")
        found = f"Of the excluded set {fact.name} ({held}), {people} and {pictures} were kept out."
        if fact.closest is None or fact.closest.similarity is None:
            return found
        return (
            f"{found} The nearest face that is left has a similarity of "
            f"{fact.closest.similarity:.4f}; from {self.threshold:.4f} on nobody is left."
        )
