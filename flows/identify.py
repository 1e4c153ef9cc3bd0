"""1:N identification on the photos of an evaluation set: who is found among all its people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facedata.errors import RequestError
from flows.evaluation_set import EmbeddedSet
from training.evaluate.identification import (
    FPIRS,
    OpenSetPoint,
    RankRate,
    SearchResult,
    open_set,
    rank_rates,
    search,
    with_missing,
)
from training.evaluate.report import identification_as_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """``ranks`` by rank, ``points`` by FPIR, None where too few people have one photo only.

    ``people`` have two photos or more; ``gallery`` of them show a face and have one photo each in
    it. ``unmated`` searches are for the others. ``without_face`` searches of people with several
    photos count as not found, because the probe or the whole person has no face.
    """

    ranks: Mapping[int, RankRate]
    points: Mapping[float, OpenSetPoint | None]
    people: int
    gallery: int
    unmated: int
    without_face: int

    def as_json(self) -> dict[str, Any]:
        """Plain numbers."""
        counts = {
            "people": self.people,
            "gallery": self.gallery,
            "unmated": self.unmated,
            "without_face": self.without_face,
        }
        return {**identification_as_json(self.ranks, self.points), **counts}

    def lines(self) -> list[str]:
        """One line per figure."""
        found = [
            f"rank {rank} of {self.people} people: {rate.rate:.4%} ({rate.interval[0]:.4%} to "
            f"{rate.interval[1]:.4%}), {rate.probes:,} probes"
            for rank, rate in self.ranks.items()
        ]
        found += [self._point_line(fpir, point) for fpir, point in self.points.items()]
        if self.gallery < self.people:
            found.append(
                f"{self.people - self.gallery} people without a face in any photo are in no "
                "gallery: they are never found"
            )
        if self.without_face:
            found.append(f"{self.without_face} probes without a face count as not found")
        return found

    def _point_line(self, fpir: float, point: OpenSetPoint | None) -> str:
        if point is None:
            return (
                f"FNIR at FPIR {fpir:g} not measured: {self.unmated} people with one photo are too "
                "few"
            )
        low, high = point.fnir_interval
        return f"FNIR at FPIR {fpir:g}: {point.fnir:.4%} ({low:.4%} to {high:.4%})"


def identify(seen: EmbeddedSet) -> Identified:
    """Search every photo in a gallery that holds one photo of each person with several.

    The gallery's is a person's first photo by name that has a face; people with one photo are in no
    gallery, and should not be found. Who has how many photos is counted whether or not a face was
    found in them: the protocol is the same for every model. Copies of a photo are left out.

    Raises:
        RequestError: the set does not say who is in its photos, or nobody has two that can be
            searched.
    """
    seen.check_people("identification needs")
    missing = Counter(seen.people_without_face)
    shown = Counter(seen.people)
    mated = {who for who, photos in (shown + missing).items() if photos > 1}
    if not mated:
        raise RequestError(f"{seen.name}: identification needs people with two photos or more")
    # One photo of a person is for the gallery, also where there is none to put there.
    lost = sum(missing[who] - (who not in shown) for who in mated)
    unseen = sum(photos for who, photos in missing.items() if who not in mated)
    gallery = _gallery(seen.people, mated)
    result = with_missing(_search(seen, gallery), lost, unseen)
    unmated = int(np.sum(~result.mated))
    return Identified(
        ranks=rank_rates(result),
        points=open_set(result) if unmated else dict.fromkeys(FPIRS),
        people=len(mated),
        gallery=len(gallery),
        unmated=unmated,
        without_face=lost,
    )


def _gallery(people: tuple[str, ...], mated: set[str]) -> NDArray[np.int64]:
    """The first row of each person who is ``mated``."""
    names, first = np.unique(np.array(people), return_index=True)
    return first[np.isin(names, sorted(mated))]


def _search(seen: EmbeddedSet, gallery: NDArray[np.int64]) -> SearchResult:
    people = np.array(seen.people)
    probes = np.setdiff1d(np.arange(len(people)), gallery)
    if not len(gallery) or not len(probes):
        # Everybody who is not in the gallery finds nobody in it.
        none = np.full(len(probes), -1.0)
        return SearchResult(
            rank=np.zeros(len(probes), dtype=np.int64),
            mate_similarity=np.full(len(probes), np.nan),
            best_other=none,
        )
    return search((seen.rows[probes], people[probes]), (seen.rows[gallery], people[gallery]))
