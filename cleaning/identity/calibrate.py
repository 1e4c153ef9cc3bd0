"""The ``auto`` thresholds, measured on the data that they will judge.

Each embedder has its own scale, so nothing here is a fixed similarity: thresholds are false-match
rates, turned into similarities by the measured distribution of different people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from cleaning.identity.centres import Centres, CoreFaces, leave_one_out
from cleaning.identity.faceset import FloatArray, IntArray
from cleaning.identity.separate import Sample, separate
from cleaning.identity.tail import Tail, fit_tail, prior_tail

CUT_RATES: Mapping[str, float] = MappingProxyType(
    {"average": 1e-3, "complete": 1e-2, "single": 1e-6, "chinese-whispers": 1e-5}
)
"""False-match rate of one pair at the first cut: linkages that join clusters on a single pair
must be sure of every pair, those that look at all pairs need not be."""

READMIT_RATE = 1e-3
"""Rate at which a wrong face passes as the person its own photo was filed under."""
_BYSTANDER_FACTOR = 0.1
MOVE_RATE = 1e-3
"""Rate at which a face of nobody in the set matches any class of the set at all."""
_MOVE_RATE_PER_CLASS = 1e-4
_CUT_CEILING = 0.6
"""The cut lies at most this far from the different-person towards the same-person level."""
_MARGIN_SCALES = 1.5
_MARGIN_SHARE = 0.2
_SAME_PERSON_SHARE = 2.0 / 3.0
_OTHER_PERSON_SHARE = 0.25

_PAIR_ROWS = 3000
_CENTRE_ROWS = 4000
_CENTRES = 2000
_ROWS_PER_CLASS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCalibration:
    """What similarities between two faces look like.

    ``different`` is the distribution for different people; ``same_median``, ``same_quartile``
    (lower) and ``same_decile`` (lowest) describe pairs inside a class that are no chance
    matches.
    """

    different: Tail
    same_median: float
    same_quartile: float
    same_decile: float
    same_samples: int

    def cut(self, method: str) -> float:
        """The similarity at which ``method`` should cut a class into clusters."""
        return min(self.different.similarity_at(CUT_RATES[method]), self._between(_CUT_CEILING))

    def same_person(self) -> float:
        """The mean similarity between two clusters from which they show one person.

        Means scatter far less than pairs do: between the levels of different and of same
        people there is a wide gap, and the threshold lies inside it.
        """
        return self._between(_SAME_PERSON_SHARE)

    def other_person(self) -> float:
        """The mean similarity between two clusters below which they show different people.

        Between this and ``same_person`` they may be one person, younger or behind a visor.
        """
        return self._between(_OTHER_PERSON_SHARE)

    def _between(self, share: float) -> float:
        level = self.same_median - self.different.location
        return self.different.location + share * level


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The thresholds one cleaning used, with the evidence behind them; all are similarities.

    ``cut`` splits classes into clusters. A face stays with its claimed class when its
    similarity to that class's centre reaches ``readmit``, or ``readmit_bystander`` when it is
    not the most prominent face of its photo; it moves to another class when it reaches
    ``move`` there. ``margin`` is by how much one class must lead another in mean
    similarity. ``sure`` is where a face cannot be mistaken for a bystander. Two clusters with a
    mean similarity of ``same_person`` show one person, and so do two faces at ``same_pair``.
    """

    cut: float
    readmit: float
    readmit_bystander: float
    move: float
    margin: float
    sure: float
    same_person: float
    same_pair: float
    pairs: PairCalibration
    centres: Tail


def calibrate_pairs(
    embeddings: FloatArray,
    photo: IntArray,
    identity: IntArray,
    seed: int,
    prior: Tail | None = None,
) -> PairCalibration:
    """Measure pairs of faces from different classes and from the same class.

    Args are rows of one face set: embeddings float32 (n, d), photo and identity int64 (n,).
    At most 3,000 rows are drawn, evenly over the classes. With a single class, the people who
    share a photo are the different ones; with too few of them, ``prior`` is assumed.
    """
    rows = _sample_rows(identity, _PAIR_ROWS, np.random.default_rng(seed))
    similarity = embeddings[rows] @ embeddings[rows].T
    upper = np.triu(np.ones(similarity.shape, dtype=bool), k=1)
    same_class = identity[rows][:, None] == identity[rows][None, :]
    same_photo = photo[rows][:, None] == photo[rows][None, :]
    across = similarity[upper & ~same_class & ~same_photo]
    if not len(across):
        across = similarity[upper & same_photo]
    inside = similarity[upper & same_class & ~same_photo]
    across, same = separate(across, inside)
    different = fit_tail(across, prior or prior_tail(embeddings.shape[1]))
    matches = _matches(inside, same, different)
    found = len(matches)
    if not found:
        matches = np.full(1, different.similarity_at(1e-6), dtype=np.float32)
    decile, quartile, median = (float(q) for q in np.quantile(matches, [0.1, 0.25, 0.5]))
    return PairCalibration(
        different=different,
        same_median=median,
        same_quartile=quartile,
        same_decile=decile,
        same_samples=found,
    )


def _matches(inside: FloatArray, same: Sample, different: Tail) -> Sample:
    """The pairs inside classes that are no chance matches.

    Chance matches end where different people are rare, or half-way to the same-person level
    where the embedder keeps the two less far apart, but never among the bulk of them.
    """
    floor = different.similarity_at(1e-4)
    if len(same):
        half_way = (different.location + float(np.median(same))) / 2.0
        floor = min(floor, max(half_way, different.similarity_at(1e-2)))
    matches: Sample = inside[inside > floor]
    return matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What faces in a clean class reach against its centre: all but 2 %, and three quarters.

    No threshold is set above these: where an embedder cannot keep people apart at the wanted
    rate, refusing the class's own faces would not help. They are measured on the main clusters,
    before any threshold has cut them.
    """

    nearly_all: float
    most: float

    @classmethod
    def of(cls, core: CoreFaces, centres: Centres, pairs: PairCalibration) -> Reach:
        """Measure it; without a main cluster, similarities of pairs stand in."""
        own = leave_one_out(core.embeddings, core, centres).similarity
        if not len(own):
            return cls(nearly_all=pairs.same_quartile, most=pairs.same_median)
        nearly_all, most = np.quantile(own, [0.02, 0.25])
        return cls(nearly_all=float(nearly_all), most=float(most))


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was measured before the rounds; ``seed`` draws samples in them."""

    pairs: PairCalibration
    reach: Reach
    seed: int


def calibrate_centres(core: CoreFaces, centres: Centres, known: Known, cut: float) -> Calibration:
    """Measure core faces against the centres of other classes and set every threshold."""
    pairs, reach, seed = known.pairs, known.reach, known.seed
    rng = np.random.default_rng(seed)
    own = leave_one_out(core.embeddings, core, centres).similarity
    others, _ = separate(_to_other_centres(core, centres, rng), own)
    different = fit_tail(others, pairs.different)
    readmit = min(different.similarity_at(READMIT_RATE), reach.nearly_all)
    bystander = different.similarity_at(READMIT_RATE * _BYSTANDER_FACTOR)
    found = own[own > readmit]
    classes = max(int((centres.count > 0).sum()) - 1, 1)
    move = different.similarity_at(min(MOVE_RATE / classes, _MOVE_RATE_PER_CLASS))
    return Calibration(
        cut=cut,
        readmit=readmit,
        readmit_bystander=min(bystander, reach.most),
        move=min(move, reach.most),
        margin=_margin(pairs, different),
        sure=float(np.quantile(found, 0.1)) if len(found) else pairs.same_median,
        same_person=pairs.same_person(),
        same_pair=pairs.same_quartile,
        pairs=pairs,
        centres=different,
    )


def _margin(pairs: PairCalibration, different: Tail) -> float:
    """How far one class must lead: beyond chance, but attainable where people lie close."""
    level = pairs.same_median - pairs.different.location
    return min(_MARGIN_SCALES * different.scale, _MARGIN_SHARE * level)


def _to_other_centres(core: CoreFaces, centres: Centres, rng: np.random.Generator) -> FloatArray:
    rows = _sample_rows(core.identity, _CENTRE_ROWS, rng, per_class=_ROWS_PER_CLASS)
    classes = np.flatnonzero(centres.count > 0)
    if len(classes) > _CENTRES:
        classes = np.sort(rng.choice(classes, size=_CENTRES, replace=False))
    similarity = core.embeddings[rows] @ centres.unit[classes].T
    others: FloatArray = similarity[core.identity[rows][:, None] != classes[None, :]]
    return others


def _sample_rows(
    identity: IntArray, limit: int, rng: np.random.Generator, per_class: int | None = None
) -> IntArray:
    """Draw at most ``limit`` rows, evenly over the classes."""
    if not len(identity):
        return np.zeros(0, dtype=np.int64)
    classes = len(np.unique(identity))
    share = max(per_class or 0, -(-limit // classes))
    order = rng.permutation(len(identity))
    shuffled = identity[order]
    by_class = np.argsort(shuffled, kind="stable")
    _, first, counts = np.unique(shuffled[by_class], return_index=True, return_counts=True)
    rank = np.arange(len(by_class)) - np.repeat(first, counts)
    drawn = order[by_class[rank < share]]
    if len(drawn) > limit:
        drawn = rng.choice(drawn, size=limit, replace=False)
    return np.sort(drawn).astype(np.int64)
