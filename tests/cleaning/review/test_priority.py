from __future__ import annotations

import time
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning.review.inference import infer
from cleaning.review.priority import chance_same, plan_pairs, plan_senior, with_name_hint
from facedata.review import Decision, Pair, PairEvidence

cosines = st.floats(-1, 1)
past = st.lists(st.tuples(cosines, st.booleans()), max_size=30)
NAMES = "abcdefgh"

MakeEvidence = Callable[..., PairEvidence]


@given(st.lists(cosines, max_size=30), past, cosines)
def test_chances_are_probabilities_that_never_fall_as_similarity_rises(
    similarities: list[float], decided: list[tuple[float, bool]], threshold: float
) -> None:
    similarity = np.sort(np.array(similarities, dtype=np.float64))
    chance = chance_same(similarity, decided, threshold)
    assert chance.dtype == np.float64
    assert chance.shape == similarity.shape
    assert ((chance > 0) & (chance < 1)).all()
    assert (np.diff(chance) >= -1e-12).all()


@given(past, cosines, st.randoms(use_true_random=False))
def test_the_order_of_the_decided_pairs_does_not_matter(
    decided: list[tuple[float, bool]], threshold: float, random: Any
) -> None:
    similarity = np.linspace(-1, 1, 50)
    shuffled = decided.copy()
    random.shuffle(shuffled)
    one, other = (chance_same(similarity, rows, threshold) for rows in (decided, shuffled))
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_before_anything_is_decided_the_chance_rises_from_the_threshold_to_one() -> None:
    chance = chance_same(np.array([0.2, 0.4, 0.7, 1.0]), [], 0.4)
    assert chance == pytest.approx([0.05, 0.05, 0.5, 0.95])


@given(past.filter(bool), cosines, st.booleans(), st.data())
def test_one_more_decided_pair_pulls_its_similarity_its_way(
    decided: list[tuple[float, bool]], threshold: float, same: bool, data: st.DataObject
) -> None:
    similarity = data.draw(st.sampled_from(decided))[0]
    here = np.array([similarity])
    before = chance_same(here, decided, threshold)[0]
    after = chance_same(here, [*decided, (similarity, same)], threshold)[0]
    assert after >= before - 1e-9 if same else after <= before + 1e-9


def test_many_decided_pairs_outweigh_the_prior() -> None:
    rng = np.random.default_rng(3)
    similarity = rng.uniform(0.4, 0.9, 5_000)
    truth = 1 / (1 + np.exp(-20 * (similarity - 0.75)))
    decided = list(zip(similarity.tolist(), (rng.random(5_000) < truth).tolist(), strict=True))
    at = np.linspace(0.45, 0.88, 20)
    expected = 1 / (1 + np.exp(-20 * (at - 0.75)))
    assert np.abs(chance_same(at, decided, 0.4) - expected).max() < 0.1


def plan(candidates: list[PairEvidence], decided: dict[Pair, str], budget: int) -> list[Pair]:
    similarity = np.array([row.max_similarity for row in candidates])
    chance = chance_same(similarity, [], 0.3)
    return [row.pair for row in plan_pairs(candidates, decided, chance, budget)]


def test_the_most_photos_put_right_come_first_and_the_nearest_among_equals(evidence) -> None:
    candidates = [
        evidence("a", "b", 0.5),
        evidence("c", "d", 0.6),
        evidence("e", "f", 0.5, photos=(50, 500)),
        evidence("g", "h", 0.6, photos=(4, 500)),
    ]
    assert plan(candidates, {}, 10) == [("e", "f"), ("c", "d"), ("g", "h"), ("a", "b")]
    assert plan(candidates, {}, 2) == [("e", "f"), ("c", "d")]
    assert plan(candidates, {}, 0) == []


def test_one_name_makes_a_pair_likelier_and_no_more() -> None:
    pairs = [("a:Tom Hanks", "b:Hanks_Tom"), ("a:Tom Hanks", "b:Tim"), ("a:7", "b:7")]
    chance = with_name_hint(np.array([0.5, 0.5, 0.5]), pairs)
    assert chance == pytest.approx([10 / 11, 0.5, 0.5])
    assert with_name_hint(np.array([0.995, 0.005]), [pairs[0]] * 2) == pytest.approx(
        [0.995, 0.05 / 1.045], abs=1e-3
    )
    assert with_name_hint(np.array([]), []).shape == (0,)


def test_a_pair_with_one_name_is_asked_before_a_nearer_one(evidence) -> None:
    candidates = [evidence("a", "b", 0.7), evidence("x:Ann Lee", "y:ann_lee", 0.6)]
    chance = np.array([0.5, 0.4])
    by_face = plan_pairs(candidates, {}, chance, 2)
    hinted = with_name_hint(chance, [row.pair for row in candidates])
    assert [row.pair for row in plan_pairs(candidates, {}, hinted, 2)] == [
        row.pair for row in by_face[::-1]
    ]


def test_ties_go_by_similarity_and_then_by_name(evidence) -> None:
    candidates = [evidence("c", "d", 0.5), evidence("e", "f", 0.55), evidence("a", "b", 0.5)]
    chance = np.full(3, 0.4)
    asked = plan_pairs(candidates, {}, chance, 3)
    assert [row.pair for row in asked] == [("e", "f"), ("a", "b"), ("c", "d")]


def test_answered_and_implied_pairs_are_not_asked_and_those_taken_back_are(evidence) -> None:
    candidates = [evidence(a, b) for a, b in combinations("abcd", 2)]
    decided = {
        ("a", "b"): "same",
        ("b", "c"): "different",
        ("a", "d"): "unsure",
        ("c", "d"): "pending",
    }
    # a–c follows; b–d is open, since a–d is not known; c–d was taken back.
    assert plan(candidates, decided, 10) == [("b", "d"), ("c", "d")]


def test_a_pair_that_the_batch_will_probably_spare_waits(evidence) -> None:
    likely = [evidence("a", "b", 0.9), evidence("b", "c", 0.85), evidence("a", "c", 0.8)]
    assert plan(likely, {}, 10) == [("a", "b"), ("b", "c")]
    unlikely = [evidence("a", "b", 0.45), evidence("b", "c", 0.44), evidence("a", "c", 0.43)]
    assert len(plan(unlikely, {}, 10)) == 3


def test_two_pairs_between_the_same_two_groups_are_not_asked_together(evidence) -> None:
    candidates = [evidence("a", "c", 0.45), evidence("b", "c", 0.44)]
    assert plan(candidates, {("a", "b"): "same"}, 10) == [("a", "c")]
    # Nobody could tell: the other pair is open still.
    assert plan(candidates, {("a", "b"): "same", ("a", "c"): "unsure"}, 10) == [("b", "c")]


def test_identities_caught_in_a_contradiction_are_asked_about_one_by_one(evidence) -> None:
    decided = {("a", "b"): "same", ("b", "c"): "same", ("a", "c"): "different"}
    candidates = [evidence("a", "d", 0.4), evidence("b", "d", 0.4)]
    assert plan(candidates, decided, 10) == [("a", "d"), ("b", "d")]


open_pairs = st.dictionaries(
    st.sampled_from(list(combinations(NAMES, 2))),
    st.tuples(st.floats(0.3, 1), st.integers(1, 9), st.integers(1, 9)),
    max_size=28,
)
words = st.sampled_from(["same", "different", "unsure", "pending"])


@given(
    open_pairs,
    st.dictionaries(st.sampled_from(list(combinations(NAMES, 2))), words, max_size=8),
    st.integers(0, 12),
    st.randoms(use_true_random=False),
)
def test_a_batch_holds_open_pairs_once_whatever_the_order(
    evidence, pairs: dict[Pair, Any], decided: dict[Pair, str], budget: int, random: Any
) -> None:
    candidates = [evidence(*pair, row[0], photos=row[1:]) for pair, row in pairs.items()]
    asked = plan(candidates, decided, budget)
    inference = infer(decided)
    is_open = {
        pair
        for pair in pairs
        if decided.get(pair, "pending") == "pending" and inference.answer(*pair) is None
    }
    assert len(set(asked)) == len(asked) <= budget
    assert set(asked) <= is_open
    assert bool(asked) == bool(is_open and budget)
    random.shuffle(candidates)
    assert plan(candidates, decided, budget) == asked


@given(
    open_pairs,
    st.lists(st.integers(0, 3), min_size=len(NAMES), max_size=len(NAMES)),
    st.sets(st.sampled_from(list(combinations(NAMES, 2)))),
    st.integers(1, 10),
)
def test_batch_after_batch_everything_open_is_asked_or_follows(
    evidence, pairs: dict[Pair, Any], person: list[int], hard: set[Pair], budget: int
) -> None:
    """An oracle that knows who is who answers, and cannot tell about the ``hard`` pairs."""
    candidates = [evidence(*pair, row[0], photos=row[1:]) for pair, row in pairs.items()]
    who = dict(zip(NAMES, person, strict=True))
    decided: dict[Pair, str] = {}
    while batch := plan(candidates, decided, budget):
        assert not set(batch) & set(decided)
        for a, b in batch:
            told = "unsure" if (a, b) in hard else "same" if who[a] == who[b] else "different"
            decided[a, b] = told
    inference = infer(decided)
    assert len(decided) <= len(candidates)
    for pair in pairs:
        follows = inference.answer(*pair)
        assert pair in decided or follows is not None
        assert follows in (None, "same" if who[pair[0]] == who[pair[1]] else "different")


def test_an_identity_cut_in_ten_takes_nine_questions_not_forty_five(evidence) -> None:
    pieces = [[f"{person}-{piece}" for piece in range(10)] for person in range(5)]
    rng = np.random.default_rng(1)
    candidates = [
        evidence(a, b, float(rng.uniform(0.7, 0.95)))
        for names in pieces
        for a, b in combinations(names, 2)
    ]
    first = plan(candidates, {}, 1_000)
    assert len(first) == 5 * 9
    assert plan(candidates, dict.fromkeys(first, "same"), 1_000) == []


def test_fifty_thousand_candidates_are_planned_in_seconds(evidence) -> None:
    rng = np.random.default_rng(2)
    sides = rng.choice(30_000, size=(50_000, 2))
    candidates = [
        evidence(f"{a:05}", f"{b:05}x", float(similarity))
        for (a, b), similarity in zip(sides, rng.uniform(0.3, 1, 50_000), strict=True)
    ]
    began = time.perf_counter()
    asked = plan(candidates, {row.pair: "different" for row in candidates[:20_000]}, 50_000)
    assert time.perf_counter() - began < 5
    assert len(asked) > 20_000


def decision(pair: str, word: str, by: str, similarity: float | None, kind: str) -> Decision:
    return Decision(
        identity_a=pair[0],
        identity_b=pair[1],
        decision=word,
        decided_by=by,
        decided_at="2026-01-01",
        max_similarity=similarity,
        kind=kind,
    )


def test_seniors_see_the_answer_with_the_least_behind_it_first() -> None:
    log = [
        decision("ab", "same", "Ana, Ben", 0.4, "pairs"),
        decision("bc", "same", "Ana", 0.7, "pairs"),
        decision("cd", "same", "Ben", 0.5, "pairs"),
        decision("ad", "different", "Ben", 0.45, "pairs"),
        decision("de", "same", "Ana", None, ""),
    ]
    contradictions = [
        [("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")],
        [("d", "e"), ("c", "d")],
    ]
    expected = [("d", "e"), ("c", "d"), ("a", "d"), ("b", "c"), ("a", "b")]
    assert plan_senior(contradictions, log) == expected
    assert plan_senior([], log) == []


def test_what_a_senior_decided_last_is_not_asked_again() -> None:
    pairs = [[("a", "b"), ("b", "c"), ("a", "c")]]
    log = [
        decision("ab", "same", "Ana", 0.4, "pairs"),
        decision("ab", "same", "Eva", 0.4, "senior"),
        decision("bc", "same", "Eva", 0.4, "senior"),
        decision("bc", "pending", "Eva", 0.4, ""),
        decision("ac", "different", "Eva", 0.4, "senior"),
    ]
    assert plan_senior(pairs, log) == [("b", "c")]
