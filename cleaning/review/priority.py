"""Which pairs people are asked about, in which order, and which are left for later.

The value of asking about a pair is what its answer is expected to put right in the dataset:

    expected value = P(same | similarity, names) × photos of the smaller identity

If the two are one person, a merge gives the photos of the smaller identity their right class; if
they are not, or nobody can tell, the dataset stays as it is. P(same) never falls as similarity
rises, so among pairs that would put as many photos right the nearest is asked first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cleaning.review.decisions import latest
from cleaning.review.inference import DisjointSets, infer
from facedata.names import have_one_name
from facedata.review import PENDING, Answer, Decision, Kind, Pair, PairEvidence, ordered_pair

FloatArray = npt.NDArray[np.float64]

_PRIOR_KNOTS = 21
_PRIOR_PAIRS = 10.0
"""The prior weighs as much as this many decided pairs, spread evenly over the similarities."""
_PRIOR_LOW, _PRIOR_HIGH = 0.05, 0.95
_NAME_ODDS = 10.0
_CHANCE_LOW, _CHANCE_HIGH = 0.005, 0.995


def chance_same(
    similarity: FloatArray, decided: Sequence[tuple[float, bool]], threshold: float
) -> FloatArray:
    """Return the probability that each candidate is one person, given its similarity.

    Isotonic regression (pool adjacent violators, Ayer et al. 1955) over the decided pairs and a
    weak prior: pseudo-pairs spread evenly from ``threshold`` to 1 that rise in a line from 0.05
    to 0.95 and weigh ten pairs in all. Between the fitted points the probability is interpolated,
    beyond them it is that of the nearest.

    Args:
        similarity: ``(n,)`` cosine of the nearest faces of each candidate.
        decided: similarity of each pair answered ``same`` (true) or ``different`` (false).
        threshold: cosine at which pairs become candidates.

    Returns:
        ``(n,)`` probabilities in [0.005, 0.995], never falling as similarity rises.
    """
    # Loading scipy.optimize takes half a second, and few commands come here.
    from scipy.optimize import isotonic_regression

    knots = np.linspace(min(threshold, 1.0), 1.0, _PRIOR_KNOTS)
    prior = np.linspace(_PRIOR_LOW, _PRIOR_HIGH, _PRIOR_KNOTS)
    known = np.array(decided, dtype=np.float64).reshape(-1, 2)
    weight = np.append(np.full(_PRIOR_KNOTS, _PRIOR_PAIRS / _PRIOR_KNOTS), np.ones(len(known)))
    # Pairs of one similarity are one point: their order must not matter.
    points, place = np.unique(np.append(knots, known[:, 0]), return_inverse=True)
    weights = np.bincount(place, weight)
    means = np.bincount(place, weight * np.append(prior, known[:, 1])) / weights
    fitted = isotonic_regression(means, weights=weights, increasing=True).x
    chance: FloatArray = np.interp(np.asarray(similarity, dtype=np.float64), points, fitted)
    return np.clip(chance, _CHANCE_LOW, _CHANCE_HIGH)


def with_name_hint(chance: FloatArray, pairs: Sequence[Pair]) -> FloatArray:
    """Return the chances ``(n,)`` with the names of the pairs taken into account.

    Two identities that look alike and have one name (``facedata.names``) are the likelier one
    person: their odds are ten times as high. It decides what is asked first and nothing else; two
    people can have one name, so none is merged by it.
    """
    odds = chance / (1.0 - chance)
    hinted = odds * np.where([have_one_name(*pair) for pair in pairs], _NAME_ODDS, 1.0)
    raised: FloatArray = np.clip(hinted / (1.0 + hinted), _CHANCE_LOW, _CHANCE_HIGH)
    return raised


def plan_pairs(
    candidates: Sequence[PairEvidence],
    decided: Mapping[Pair, str],
    chance: FloatArray,
    budget: int,
) -> list[PairEvidence]:
    """Return the pairs of the next batch, highest expected value first.

    Left out for good are pairs that were answered, ``unsure`` too, and those whose answer follows
    from answers. Left for a later batch are pairs that this batch will probably spare (parallel
    labelling, Wang et al., SIGMOD 2013): those whose two sides the batch joins already by pairs
    that are each likelier the same person than not, and those between the same two groups of
    identities as a pair of the batch. The first open pair is always in the batch, so that batch
    after batch every open pair is asked or follows.

    Args:
        candidates: all merge candidates, in any order; the result does not depend on it.
        decided: the word that counts for each decided pair; ``pending`` is open.
        chance: ``(n,)`` probability that each candidate is one person, as of ``chance_same``.
        budget: most pairs to return.
    """
    inference = infer(decided)
    likely_same = DisjointSets()
    asked: set[Pair] = set()
    batch: list[PairEvidence] = []
    for row in _by_value(candidates, chance):
        if len(batch) >= budget:
            break
        candidate = candidates[row]
        if decided.get(candidate.pair, PENDING) != PENDING:
            continue
        if inference.answer(*candidate.pair) is not None:
            continue
        groups = ordered_pair(*(inference.group(name) for name in candidate.pair))
        if groups in asked or likely_same.find(groups[0]) == likely_same.find(groups[1]):
            continue
        batch.append(candidate)
        asked.add(groups)
        if chance[row] > 0.5:
            likely_same.join(*groups)
    return batch


def plan_senior(contradictions: Sequence[Sequence[Pair]], log: Sequence[Decision]) -> list[Pair]:
    """Return the pairs to put before experienced reviewers, the most suspicious answer first.

    That is the answer of the fewest people, and among those the one that the measured similarity
    speaks for the least; an answer without a similarity comes before those with one.

    Args:
        contradictions: of each, the pairs whose answers cannot all be right.
        log: the decisions. Pairs that a senior decided last are left out: asking ends there, and
            what is still contradicted stays held.
    """
    known = latest(log)
    pairs = {ordered_pair(*pair) for contradiction in contradictions for pair in contradiction}
    open_pairs = [pair for pair in pairs if not _is_senior(known.get(pair))]
    return sorted(open_pairs, key=lambda pair: (*_support(known.get(pair)), pair))


def _by_value(candidates: Sequence[PairEvidence], chance: FloatArray) -> Iterator[int]:
    """Yield rows by expected value, then similarity, both descending, then by name."""
    by_name = np.array(
        sorted(range(len(candidates)), key=lambda row: candidates[row].pair), dtype=np.int64
    )
    value = chance * _column(min(row.photos_a, row.photos_b) for row in candidates)
    similarity = _column(row.max_similarity for row in candidates)
    order = np.lexsort((-similarity[by_name], -value[by_name]))
    return iter(by_name[order].tolist())


def _column(values: Iterable[float]) -> FloatArray:
    return np.fromiter(values, dtype=np.float64)


def _is_senior(decision: Decision | None) -> bool:
    return decision is not None and decision.kind == Kind.SENIOR


def _support(decision: Decision | None) -> tuple[int, float]:
    """Return what speaks for a decision: how many people, and how well the similarity fits it."""
    if decision is None:
        return 0, -1.0
    voters = len([name for name in decision.decided_by.split(",") if name.strip()])
    similarity = decision.max_similarity
    if similarity is None:
        return voters, -1.0
    return voters, 1.0 - similarity if decision.decision == Answer.DIFFERENT else similarity
