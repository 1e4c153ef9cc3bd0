"""N:N verification on the photos of an evaluation set: every photo with every other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cleaning.faces.config import usable_cores
from flows.evaluation_set import EmbeddedSet
from flows.progress import Reporter
from training.evaluate.all_pairs import FARS, AllPairs, Work, evaluate_within
from training.evaluate.report import all_pairs_as_json, point_lines

_FEW_PEOPLE = 1e-2
"""A rate that a small set can measure too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """``result`` over all pairs of ``photos``, of which ``without_face`` show none.

    Their pairs are never accepted.
    """

    result: AllPairs
    photos: int
    without_face: int

    def as_json(self) -> dict[str, Any]:
        """Plain numbers."""
        counts = {"faces": self.photos - self.without_face, "without_face": self.without_face}
        return {**all_pairs_as_json(self.result), **counts}

    def lines(self) -> list[str]:
        """One line per figure."""
        counts = f"{self.result.genuine:,} same and {self.result.impostors:,} different pairs"
        found = [f"all pairs of {self.photos:,} photos: {counts}", *point_lines(self.result.points)]
        if self.without_face:
            found.append(
                f"{self.without_face:,} photos without a face are in {self.result.missing:,} of "
                "all pairs, which count as not accepted"
            )
        return found


def compare_all(seen: EmbeddedSet, reporter: Reporter | None = None) -> Compared:
    """Compare every photo of a set with every other; copies of a photo are left out.

    Raises:
        RequestError: the set does not say who is in its photos, or they make no pair of each kind.
    """
    seen.check_people("all pairs need")
    progress = _Progress(seen.name, reporter or Reporter(quiet=True))
    missing = seen.people_without_face
    result = evaluate_within(
        seen.rows,
        np.array(seen.people),
        fars=(_FEW_PEOPLE, *FARS),
        work=Work(threads=usable_cores(), progress=progress.tell),
        without_face=missing,
    )
    return Compared(result=result, photos=len(seen.rows) + len(missing), without_face=len(missing))


class _Progress:
    """Shares of passes over all pairs, told in percent."""

    def __init__(self, name: str, reporter: Reporter) -> None:
        self._name = name
        self._reporter = reporter
        self._pass, self._told = 0, 0

    def tell(self, number: int, share: float) -> None:
        """``share`` of pass ``number`` is done."""
        stage = f"{self._name}: all pairs, pass {number}, percent"
        if number != self._pass:
            self._pass, self._told = number, 0
            self._reporter.start(stage, 100)
        done = int(100 * share)
        self._reporter.advance(stage, done - self._told)
        self._told = done
