"""1:N identification on the photos of an evaluation set: who is found among all its people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from facedata.errors import RequestError
from flows.evaluation_set import EmbeddedSet
from training.evaluate.identification import (
    OpenSetPoint,
    RankRate,
    open_set,
    rank_rates,
    search,
)
from training.evaluate.report import identification_as_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """``ranks`` by rank, ``points`` by FPIR, which need people with one photo only.

    ``gallery`` people have one photo each in it; ``without_face`` probes count as not found.
    """

    ranks: Mapping[int, RankRate]
    points: Mapping[float, OpenSetPoint | None]
    gallery: int
    without_face: int

    def as_json(self) -> dict[str, Any]:
        """Plain numbers."""
        counts = {"gallery": self.gallery, "without_face": self.without_face}
        return {**identification_as_json(self.ranks, self.points), **counts}

    def lines(self) -> list[str]:
        """One line per figure."""
        found = [
            f"rank {rank} of {self.gallery} people: {rate.rate:.4%} ({rate.interval[0]:.4%} to "
            f"{rate.interval[1]:.4%}), {rate.probes:,} probes"
            for rank, rate in self.ranks.items()
        ]
        found += [
            f"FNIR at FPIR {fpir:g}: {point.fnir:.4%} ({point.fnir_interval[0]:.4%} to "
            f"{point.fnir_interval[1]:.4%})"
            for fpir, point in self.points.items()
            if point is not None
        ]
        if self.without_face:
            found.append(f"{self.without_face} probes without a face count as not found")
        return found


def identify(seen: EmbeddedSet) -> Identified:
    """Search every photo in a gallery that holds one photo of each person with several.

    The gallery's is a person's first photo by name that has a face; people with one photo are in no
    gallery, and should not be found.

    Raises:
        RequestError: the set does not say who is in its photos, or nobody has two.
    """
    people = np.array(seen.people)
    names, first, counts = np.unique(people, return_index=True, return_counts=True)
    if "" in names:
        raise RequestError(
            f"{seen.name}: identification needs to know who is in a photo; give a CSV whose photos "
            "lie in a folder for each person"
        )
    mated = names[counts > 1]
    if not len(mated):
        raise RequestError(
            f"{seen.name}: identification needs people with two photos or more that show a face"
        )
    in_gallery = first[counts > 1]
    probes = np.setdiff1d(np.arange(len(people)), in_gallery)
    result = search(
        (seen.rows[probes], people[probes]), (seen.rows[in_gallery], people[in_gallery])
    )
    missing = sum(PurePosixPath(name).parent.name in set(mated) for name in seen.without_face)
    ranks = rank_rates(result)
    return Identified(
        ranks={rank: replace(rate, probes=rate.probes + missing) for rank, rate in ranks.items()},
        points={} if result.mated.all() else _open(open_set(result), missing),
        gallery=len(mated),
        without_face=missing,
    )


def _open(
    points: Mapping[float, OpenSetPoint | None], missing: int
) -> dict[float, OpenSetPoint | None]:
    return {
        fpir: point and replace(point, misses=point.misses + missing, mated=point.mated + missing)
        for fpir, point in points.items()
    }
