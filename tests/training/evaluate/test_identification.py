"""1:N: against a whole matrix, with ties and several faces per identity."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facedata.errors import RequestError
from training.evaluate.identification import (
    SearchResult,
    open_set,
    rank_rates,
    search,
    with_missing,
)

Faces = tuple[NDArray[np.float32], NDArray[np.int64]]
DIRECTIONS = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0], [0.8, -0.6]], dtype=np.float32)


def brute_force(probes: Faces, gallery: Faces) -> list[tuple[int, float, float]]:
    """Rank, mate similarity and best other of each probe."""
    left, right = (
        np.rint(rows.astype(np.float64) * 2**26) / 2**26 for rows in (probes[0], gallery[0])
    )
    found = []
    for row, who in zip(left @ right.T, probes[1], strict=True):
        scores = {name: row[gallery[1] == name].max() for name in np.unique(gallery[1])}
        mate = scores.pop(who, None)
        best = max(scores.values(), default=-np.inf)
        rank = 0 if mate is None else 1 + sum(score >= mate for score in scores.values())
        found.append((rank, np.nan if mate is None else mate, best))
    return found


def check(result: SearchResult, expected: list[tuple[int, float, float]]) -> None:
    rank, mate, other = (np.array(column) for column in zip(*expected, strict=True))
    np.testing.assert_array_equal(result.rank, rank)
    np.testing.assert_array_equal(result.mate_similarity, mate)
    np.testing.assert_array_equal(result.best_other, other)


def test_several_blocks_of_gallery_and_probes(people: Callable[..., Faces]) -> None:
    rows, identity = people(1100, 5, 32)
    probes = (rows[:300], np.where(identity[:300] < 900, identity[:300], identity[:300] + 9000))
    gallery = (rows[300:], identity[300:])

    result = search(probes, gallery)

    check(result, brute_force(probes, gallery))
    assert 0 < result.mated.sum() < 300


@st.composite
def faces(draw: st.DrawFn) -> Faces:
    chosen = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
    return DIRECTIONS[[way for way, _ in chosen]], np.array([who for _, who in chosen])


@given(probes=faces(), gallery=faces())
def test_ties_go_against_the_probe(probes: Faces, gallery: Faces) -> None:
    check(search(probes, gallery), brute_force(probes, gallery))


def result_of(rank: list[int], mate: list[float], other: list[float]) -> SearchResult:
    return SearchResult(
        rank=np.array(rank), mate_similarity=np.array(mate), best_other=np.array(other)
    )


def test_rank_rates_count_mated_probes_only() -> None:
    rates = rank_rates(result_of([1, 2, 7, 0], [0.9, 0.5, 0.1, np.nan], [0.1] * 4), [1, 5, 10])
    assert {rank: (rate.hits, rate.probes) for rank, rate in rates.items()} == {
        1: (1, 3),
        5: (2, 3),
        10: (3, 3),
    }
    assert rates[1].interval[0] < 1 / 3 < rates[1].interval[1]


def test_an_open_set_misses_below_the_threshold_and_behind_others() -> None:
    unmated = [0.5, 0.4, 0.3, 0.3, 0.2, 0.2, 0.1, 0.1, 0.0, 0.0]
    result = result_of(
        [1, 1, 2] + [0] * 10, [0.9, 0.35, 0.8] + [np.nan] * 10, [0.1, 0.1, 0.85, *unmated]
    )

    points = open_set(result, [0.1, 0.3, 0.01])

    tenth, third = points[0.1], points[0.3]
    assert tenth is not None
    assert third is not None
    # One of ten may be answered: the threshold is just above the second, 0.4.
    assert tenth.threshold == np.nextafter(0.4, 1)
    assert (tenth.false_positives, tenth.misses) == (1, 2)
    # Three may, but the third and fourth tie: two are.
    assert (third.false_positives, third.misses) == (2, 1)
    assert third.fnir == pytest.approx(1 / 3)
    assert points[0.01] is None
    deeper = open_set(result, [0.1], max_rank=2)[0.1]
    assert deeper is not None
    assert deeper.misses == 1


def test_searches_that_cannot_be_made_find_nobody() -> None:
    made = result_of([1] + [0] * 9, [0.9] + [np.nan] * 9, [0.1, *np.arange(9) / 10])

    result = with_missing(made, 3, 11)

    assert {(rate.hits, rate.probes) for rate in rank_rates(result).values()} == {(1, 4)}
    assert open_set(made, [0.1])[0.1] is None
    point = open_set(result, [0.1, 0.6])[0.1]
    assert point is not None
    # Two of twenty may be answered.
    assert (point.false_positives, point.unmated, point.misses, point.mated) == (2, 20, 3, 4)
    deep = open_set(result, [0.6], max_rank=1000)[0.6]
    assert deep is not None
    # Twelve may: all nine whose photo could be searched, and of the rest nobody.
    assert (deep.false_positives, deep.misses) == (9, 3)


def test_what_is_missing_is_named(people: Callable[..., Faces]) -> None:
    everyone = result_of([1], [0.9], [0.1])
    nobody = result_of([0], [np.nan], [0.1])
    with pytest.raises(RequestError, match="1 mated and 0 unmated"):
        open_set(everyone)
    with pytest.raises(RequestError, match="holds no probe's identity"):
        rank_rates(nobody)
    with pytest.raises(RequestError, match="64 and 32 dimensions"):
        search(people(3, 2), people(3, 2, 32))
