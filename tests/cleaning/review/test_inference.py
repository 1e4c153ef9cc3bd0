from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from cleaning.review.inference import DisjointSets, infer
from facedata.review import Answer, Pair

NAMES = "abcdefg"
PAIRS = list(combinations(NAMES, 2))
words = st.sampled_from(["same", "different", "unsure", "pending"])
decisions = st.dictionaries(st.sampled_from(PAIRS), words, max_size=12)


def reached(decided: dict[Pair, str], start: str) -> set[str]:
    """Names that a chain of ``same`` joins to one, by search."""
    names = {start}
    while True:
        more = {
            name
            for pair, word in decided.items()
            if word == "same" and names & set(pair)
            for name in pair
        }
        if more <= names:
            return names
        names |= more


def follows(decided: dict[Pair, str], a: str, b: str) -> Answer | None:
    """The definition: search instead of groups."""
    sides = reached(decided, a), reached(decided, b)
    apart = [set(pair) for pair, word in decided.items() if word == "different"]
    if any(pair <= side for pair in apart for side in sides):
        return None
    if b in sides[0]:
        return Answer.SAME
    told = any(pair & sides[0] and pair & sides[1] for pair in apart)
    return Answer.DIFFERENT if told else None


def test_a_chain_of_sames_joins_and_one_different_parts_the_whole_groups() -> None:
    inference = infer(
        {
            ("a", "b"): "same",
            ("b", "c"): "same",
            ("d", "e"): "same",
            ("c", "d"): "different",
            ("e", "f"): "unsure",
            ("a", "g"): "pending",
        }
    )
    assert inference.answer("a", "c") == Answer.SAME
    assert inference.answer("a", "e") == inference.answer("e", "a") == Answer.DIFFERENT
    assert inference.answer("e", "f") is None
    assert inference.answer("a", "g") is None
    assert inference.group("a") == inference.group("c") != inference.group("d")


def test_two_differents_say_nothing_about_the_outer_two() -> None:
    inference = infer({("a", "b"): "different", ("b", "c"): "different"})
    assert inference.answer("a", "c") is None


def test_nothing_is_inferred_where_answers_contradict_one_another() -> None:
    contradiction = {("a", "b"): "same", ("b", "c"): "same", ("a", "c"): "different"}
    inference = infer(
        contradiction | {("c", "d"): "different", ("d", "e"): "same", ("e", "f"): "different"}
    )
    assert {inference.answer(a, b) for a, b in combinations("abc", 2)} == {None}
    assert inference.answer("c", "e") is None
    assert inference.group("a") == "a"
    # Elsewhere inference goes on.
    assert inference.answer("d", "f") == Answer.DIFFERENT


@given(decisions)
def test_answers_are_those_of_a_search(decided: dict[Pair, str]) -> None:
    inference = infer(decided)
    for a, b in PAIRS:
        assert inference.answer(a, b) == inference.answer(b, a) == follows(decided, a, b)


@given(decisions, st.randoms(use_true_random=False))
def test_the_order_of_the_decisions_does_not_matter(decided: dict[Pair, str], random) -> None:
    shuffled = list(decided.items())
    random.shuffle(shuffled)
    one, other = infer(decided), infer(dict(shuffled))
    assert [one.answer(*pair) for pair in PAIRS] == [other.answer(*pair) for pair in PAIRS]


@given(st.lists(st.sampled_from(PAIRS)))
def test_sets_are_joined_exactly_where_a_chain_joins(joins: list[Pair]) -> None:
    sets = DisjointSets()
    for pair in joins:
        sets.join(*pair)
    decided = dict.fromkeys(joins, "same")
    for a, b in PAIRS:
        assert (sets.find(a) == sets.find(b)) == (b in reached(decided, a))


def test_a_long_chain_is_no_problem() -> None:
    names = [f"{number:06}" for number in range(100_000)]
    inference = infer(dict.fromkeys(pairwise(names), "same"))
    assert inference.answer(names[0], names[-1]) == Answer.SAME
