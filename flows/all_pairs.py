"""N:N verification on the photos of an evaluation set: every photo with every other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cleaning.faces.config import usable_cores
from facedata.errors import RequestError
from flows.evaluation_set import EmbeddedSet
from training.evaluate.all_pairs import FARS, AllPairs, Work, evaluate_within
from training.evaluate.report import all_pairs_as_json, point_lines

_FEW_PEOPLE = 1e-2
"""A rate that a small set can measure too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """``result`` over all pairs of ``faces`` photos; those without a face are in no pair."""

    result: AllPairs
    faces: int

    def as_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return {**all_pairs_as_json(self.result), "faces": self.faces}

    def lines(self) -> list[str]:
        """One line per figure."""
        counts = f"{self.result.genuine:,} same and {self.result.impostors:,} different pairs"
        return [f"all pairs of {self.faces:,} photos: {counts}", *point_lines(self.result.points)]


def compare_all(seen: EmbeddedSet) -> Compared:
    """Compare every photo of a set with every other.

    Raises:
        RequestError: the set does not say who is in its photos, or they make no pair of each kind.
    """
    if "" in seen.people:
        raise RequestError(
            f"{seen.name}: all pairs need to know who is in a photo; give a CSV whose photos lie "
            "in a folder for each person"
        )
    result = evaluate_within(
        seen.rows,
        np.array(seen.people),
        fars=(_FEW_PEOPLE, *FARS),
        work=Work(threads=usable_cores()),
    )
    return Compared(result=result, faces=len(seen.rows))
