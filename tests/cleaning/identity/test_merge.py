"""Merges from decisions: exact groups, and rules that hold for any set of answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaning.identity.merge import Contradiction, Merges, merge
from facedata.errors import RequestError
from facedata.ledger import Reason
from facedata.review import CandidateRow, Decision

NAMES = "ABCDEFG"


def decided(a: str, b: str, decision: str) -> Decision:
    return Decision(
        identity_a=a, identity_b=b, decision=decision, decided_by="test", decided_at="2026-01-01"
    )


def candidate(a: str, b: str, decision: str) -> CandidateRow:
    return CandidateRow(
        identity_a=a,
        identity_b=b,
        max_similarity=0.5,
        face_a="",
        face_b="",
        decision=decision,
        decided_by=None,
        decided_at=None,
    )


def answers(text: str) -> list[Decision]:
    """``A=B A!C A?D`` as decisions: same, different, pending (``~`` is unsure)."""
    words = {"=": "same", "!": "different", "?": "pending", "~": "unsure"}
    return [decided(word[0], word[2], words[word[1]]) for word in text.split()]


def groups(merges: Merges) -> set[str]:
    of: dict[str, list[str]] = {}
    for name, canonical in merges.canonical.items():
        of.setdefault(canonical, []).append(name)
    return {"".join(sorted(members)) for members in of.values()}


def alike(text: str, policy="keep-separate", names: str = "ABCDE", **counts: int) -> Merges:
    return merge({name: counts.get(name, 10) for name in names}, answers(text), policy)


def simple_paths(edges: set[frozenset], path: list[str], end: str) -> Iterator[list[str]]:
    if path[-1] == end:
        yield path
        return
    for edge in edges:
        for following in edge - {path[-1]} if path[-1] in edge else ():
            if following not in path:
                yield from simple_paths(edges, [*path, following], end)


pair_lists = st.lists(
    st.tuples(
        st.sampled_from(sorted(permutations(NAMES, 2))),
        st.sampled_from(["same", "same", "different", "unsure", "pending"]),
    ).map(lambda drawn: decided(*drawn[0], drawn[1])),
    max_size=14,
)
count_maps = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 4), min_size=1)
policies = st.sampled_from(["keep-separate", "hold-out"])


def edges_answered(pairs: list[Decision], *wanted: str) -> set[frozenset]:
    return {frozenset((p.identity_a, p.identity_b)) for p in pairs if p.decision in wanted}


@given(counts=count_maps, pairs=pair_lists, policy=policies)
def test_two_told_apart_are_never_one_group(counts, pairs, policy):
    canonical = merge(counts, pairs, policy).canonical
    for edge in edges_answered(pairs, "different"):
        a, b = edge
        if a in canonical and b in canonical:
            assert canonical[a] != canonical[b]


@given(counts=count_maps, pairs=pair_lists, policy=policies, seed=st.integers(0, 99))
def test_order_and_direction_do_not_matter(counts, pairs, policy, seed):
    shuffled = [decided(p.identity_b, p.identity_a, p.decision) for p in pairs]
    random.Random(seed).shuffle(shuffled)
    again = merge(dict(reversed(counts.items())), shuffled, policy)
    assert again == merge(counts, pairs, policy)


@settings(max_examples=200)
@given(pairs=pair_lists)
def test_suspended_answers_are_those_on_the_paths(pairs):
    same = edges_answered(pairs, "same")
    expected = []
    for a, b in sorted(tuple(sorted(edge)) for edge in edges_answered(pairs, "different")):
        steps = {
            tuple(sorted(step)) for path in simple_paths(same, [a], b) for step in pairwise(path)
        }
        if steps:
            expected.append(
                Contradiction(identity_a=a, identity_b=b, suspended=tuple(sorted(steps)))
            )
    assert merge({}, pairs, "hold-out").contradictions == tuple(expected)


@given(counts=count_maps, pairs=pair_lists)
def test_all_other_same_answers_are_applied(counts, pairs):
    merges = merge(counts, pairs, "keep-separate")
    suspended = {frozenset(pair) for c in merges.contradictions for pair in c.suspended}
    for a, b in edges_answered(pairs, "same") - suspended:
        if a in counts and b in counts:
            assert merges.canonical[a] == merges.canonical[b]
    assert set(merges.canonical) == set(counts)


@given(counts=count_maps, pairs=pair_lists, policy=policies)
def test_canonical_is_the_member_with_most_faces(counts, pairs, policy):
    canonical = merge(counts, pairs, policy).canonical
    for name in canonical.values():
        members = [member for member in counts if canonical[member] == name]
        assert name == min(members, key=lambda member: (-counts[member], member))


@given(counts=st.fixed_dictionaries(dict.fromkeys(NAMES, st.integers(1, 4))), pairs=pair_lists)
def test_hold_out_never_releases_both_sides_of_an_open_pair(counts, pairs):
    merges = merge(counts, pairs, "hold-out")
    apart = {
        frozenset(merges.canonical[name] for name in edge)
        for edge in edges_answered(pairs, "different")
    }
    for edge in edges_answered(pairs, "unsure", "pending"):
        sides = frozenset(merges.canonical[name] for name in edge)
        assert len(sides) == 1 or sides in apart or edge & set(merges.held)


@given(counts=count_maps, pairs=pair_lists, policy=policies)
def test_groups_are_held_whole_and_only_for_a_reason(counts, pairs, policy):
    merges = merge(counts, pairs, policy)
    for name, canonical in merges.canonical.items():
        assert merges.held.get(name) == merges.held.get(canonical)
    if policy == "keep-separate":
        assert Reason.PENDING_MERGE not in merges.held.values()
    if not merges.contradictions:
        assert Reason.CONTRADICTION not in merges.held.values()


def test_a_chain_of_same_answers_is_one_group():
    merges = alike("A=B B=C", B=30)
    assert groups(merges) == {"ABC", "D", "E"}
    assert merges.canonical["C"] == "B"
    assert merges.held == {}


def test_a_chain_to_someone_told_apart_is_suspended_and_held():
    merges = alike("A=B B=C A!C D=E")
    assert groups(merges) == {"A", "B", "C", "DE"}
    assert merges.contradictions == (
        Contradiction(identity_a="A", identity_b="C", suspended=(("A", "B"), ("B", "C"))),
    )
    assert merges.held == dict.fromkeys("ABC", Reason.CONTRADICTION)


def test_answers_off_the_path_still_merge_and_are_held_with_their_group():
    merges = alike("A=B B=C A!C B=D D=E")
    assert groups(merges) == {"A", "C", "BDE"}
    assert set(merges.held) == set("ABCDE")


def test_a_pair_answered_both_ways_is_a_contradiction():
    merges = alike("A=B B!A")
    assert groups(merges) == set("ABCDE")
    assert merges.contradictions == (
        Contradiction(identity_a="A", identity_b="B", suspended=(("A", "B"),)),
    )


def test_a_chain_through_an_identity_that_left_still_holds():
    assert groups(alike("A=X X=B")) == {"AB", "C", "D", "E"}
    assert alike("A=X X=B A!B").contradictions[0].suspended == (("A", "X"), ("B", "X"))


@pytest.mark.parametrize("mark", ["?", "~"])
def test_open_pairs_follow_the_policy(mark):
    text = f"A{mark}B C=D D{mark}E"
    assert alike(text).held == {}
    held = alike(text, "hold-out", B=9, E=15).held
    assert held == dict.fromkeys("BE", Reason.PENDING_MERGE)


def test_hold_out_holds_the_later_name_on_a_tie():
    assert set(alike("B?A", "hold-out").held) == {"B"}


def test_hold_out_asks_nothing_that_other_answers_settle():
    assert alike("A=B B=C A?C", "hold-out").held == {}
    assert alike("A=B B!C A?C", "hold-out").held == {}
    assert set(alike("A=B A!B C?A", "hold-out").held) == {"A", "B"}


def test_unknown_answers_and_pairs_with_itself_are_refused():
    with pytest.raises(RequestError, match="'A' and 'B' is 'maybe': give one of same, different"):
        merge({"A": 1, "B": 1}, [candidate("B", "A", "maybe")], "keep-separate")
    with pytest.raises(RequestError, match="'A' and itself"):
        merge({"A": 1}, [decided("A", "A", "same")], "keep-separate")


def test_no_identities_and_no_decisions():
    assert merge({}, [], "hold-out") == Merges(canonical={}, held={}, contradictions=())
