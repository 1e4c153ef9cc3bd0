"""Faces that several identities claim."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from cleaning.stages.contest import Claim, share_out


def claims_of(text: str) -> list[Claim]:
    """``"A:1 2 B:2"``: A claims faces 1 and 2, B face 2; earlier claims are better."""
    claims, identity = [], ""
    for place, word in enumerate(text.split()):
        if ":" in word:
            identity, word = word.split(":")
        claims.append(Claim(face=word, identity=identity, rank=(place,)))
    return claims


def owners(text: str, least: int) -> tuple[dict[str, str], set[str]]:
    claims = claims_of(text)
    shares = share_out(claims, least)
    return {face: claims[n].identity for face, n in shares.owner.items()}, set(shares.held)


def test_the_best_claim_has_the_face() -> None:
    assert owners("A:1 2 B:2 3 4", 2) == ({"1": "A", "2": "A", "3": "B", "4": "B"}, set())


def test_an_identity_with_too_few_leaves_its_faces_to_others() -> None:
    assert owners("A:1 B:1 2", 2) == ({"1": "B", "2": "B"}, {"A"})
    # B was given face 2 before its turn came.
    assert owners("A:2 B:1 2 3 C:3 4 5", 3) == ({"1": "B", "2": "B", "3": "B"}, {"A", "C"})


def test_of_two_that_hold_the_same_one_stays() -> None:
    claims = [
        Claim(face="1", identity="A", rank=(0,)),
        Claim(face="2", identity="B", rank=(0,)),
        Claim(face="1", identity="B", rank=(1,)),
        Claim(face="2", identity="A", rank=(1,)),
    ]
    shares = share_out(claims, 2)
    assert shares.held == {"B"}
    assert dict(shares.owner) == {"1": 0, "2": 3}


@given(
    st.lists(
        st.tuples(st.sampled_from("12345678"), st.sampled_from("ABCD"), st.integers(0, 3)),
        unique_by=lambda value: value[:2],
    ),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_nobody_owns_too_few_and_nothing_is_wasted(
    drawn: list[tuple[str, str, int]], least: int, random: object
) -> None:
    claims = [Claim(face=f, identity=i, rank=(rank, i)) for f, i, rank in drawn]
    shares = share_out(claims, least)
    owner = {face: claims[number].identity for face, number in shares.owner.items()}
    sizes = Counter(owner.values())
    claimed = defaultdict(set)
    for claim in claims:
        claimed[claim.face].add(claim.identity)
    assert all(size >= least for size in sizes.values())
    assert not shares.held & sizes.keys()
    assert shares.held | sizes.keys() == {claim.identity for claim in claims}
    for face, identities in claimed.items():
        assert owner.get(face) in identities if identities - shares.held else face not in owner
    # Nobody who has enough claims that no one else makes is held.
    for identity in shares.held:
        alone = [face for face, names in claimed.items() if names == {identity}]
        assert len(alone) < least
    random.shuffle(claims)  # type: ignore[attr-defined]
    again = share_out(claims, least)
    assert again.held == shares.held
    assert {face: claims[n].identity for face, n in again.owner.items()} == owner
