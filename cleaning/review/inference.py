"""What follows from decisions about pairs without asking anybody.

A = B and B = C gives A = C; A = B and B ≠ C gives A ≠ C. Where the answers contradict one another
(a chain of ``same`` joins two identities answered ``different``) at least one is wrong, and nothing
is inferred for any identity of that chain's group until people have looked again.
"""

from __future__ import annotations

from collections.abc import Mapping

from facedata.review import Answer, Pair, ordered_pair


class DisjointSets:
    """Names that are joined step by step: union by size with path halving (Tarjan 1975)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._size: dict[str, int] = {}

    def find(self, name: str) -> str:
        """Return the member that stands for the set of ``name``; itself when never joined."""
        parent = self._parent
        while (above := parent.get(name, name)) != name:
            name = parent[name] = parent.get(above, above)
        return name

    def join(self, name_a: str, name_b: str) -> None:
        """Make one set of the sets of two names."""
        small, large = self.find(name_a), self.find(name_b)
        if small == large:
            return
        if self._size.get(small, 1) > self._size.get(large, 1):
            small, large = large, small
        self._parent[small] = large
        self._size[large] = self._size.pop(small, 1) + self._size.get(large, 1)


class Inference:
    """The groups that decisions make of identities, and which groups are different people."""

    def __init__(self, groups: Mapping[str, str], apart: frozenset[Pair]) -> None:
        self._groups = groups
        self._apart = apart

    def group(self, identity: str) -> str:
        """Return the identity that stands for all that are the same person as this one.

        It stands for itself when nothing joins it, and when its answers contradict one another.
        """
        return self._groups.get(identity, identity)

    def answer(self, identity_a: str, identity_b: str) -> Answer | None:
        """Return what follows for two different identities, ``None`` when nothing does."""
        group_a, group_b = self.group(identity_a), self.group(identity_b)
        if group_a == group_b:
            return Answer.SAME
        return Answer.DIFFERENT if ordered_pair(group_a, group_b) in self._apart else None


def infer(decided: Mapping[Pair, str]) -> Inference:
    """Return what follows from the answer that counts for each pair.

    ``unsure`` and ``pending`` say nothing. The time is linear in the number of answers but for
    the inverse Ackermann function.
    """
    sets = DisjointSets()
    joined: set[str] = set()
    told_apart: list[Pair] = []
    for pair, word in decided.items():
        if word == Answer.SAME:
            sets.join(*pair)
            joined.update(pair)
        elif word == Answer.DIFFERENT:
            told_apart.append(pair)
    sides = [(sets.find(a), sets.find(b)) for a, b in told_apart]
    contradicted = {side_a for side_a, side_b in sides if side_a == side_b}
    groups = {name: group for name in joined if (group := sets.find(name)) not in contradicted}
    apart = frozenset(ordered_pair(*pair) for pair in sides if contradicted.isdisjoint(pair))
    return Inference(groups, apart)
