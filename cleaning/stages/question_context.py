"""What the planning of questions looks at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from cleaning.review.decisions import latest, latest_photos
from cleaning.stages.asked import Asked
from cleaning.stages.audit import Audit
from cleaning.stages.material import Material
from cleaning.stages.opinions import Opinions
from cleaning.stages.sides import Sides
from facedata.review import PENDING, Answer, Decision, Pair, PairEvidence, PhotoDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the recipe asks for: ``budget`` questions per batch, answered by ``overlap`` people.

    ``gold`` are pairs with known answers, mixed in with ``gold_share``; ``borderline`` is how
    many photos near the cut people look at.
    """

    budget: int
    overlap: int
    gold: Mapping[Pair, Answer] = field(default_factory=dict)
    gold_share: float = 0.0
    borderline: int = 0


@dataclass(frozen=True, kw_only=True)
class QuestionContext:
    """One build's findings, and what was asked and decided before.

    ``audit`` is None when the recipe asks for none.
    """

    material: Material
    wishes: Wishes
    asked: Asked
    audit: Audit | None
    opinions: Opinions

    @cached_property
    def sides(self) -> Sides:
        """How reviewers see identities."""
        return Sides(self.material)

    @cached_property
    def evidence(self) -> dict[Pair, PairEvidence]:
        """What was measured about each merge candidate, by pair."""
        return {row.pair: row for row in self.material.evidence}

    @cached_property
    def log(self) -> list[Decision]:
        """All decisions about pairs, oldest first."""
        return self.material.folder.decisions()

    @cached_property
    def decided(self) -> dict[Pair, Decision]:
        """The decision that counts for each pair."""
        return latest(self.log)

    @cached_property
    def words(self) -> dict[Pair, list[str]]:
        """What was decided about each pair and by whom, oldest first."""
        said: dict[Pair, list[str]] = defaultdict(list)
        for row in self.log:
            if row.decision != PENDING:
                said[row.pair].append(f"{row.decision} ({row.decided_by})")
        return said

    @cached_property
    def decided_photos(self) -> dict[tuple[str, str], PhotoDecision]:
        """The decision that counts for each photo, by image id and identity."""
        return latest_photos(self.material.folder.photo_decisions())
