"""Faces that several identities claim, shared out so that no person is left with too few."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An identity's claim on a face; of several on one face the smallest ``rank`` is best."""

    face: str
    identity: str
    rank: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """``owner`` of each face that somebody has, as an index into the claims; ``held`` identities
    have too few faces and own none."""

    owner: Mapping[str, int]
    held: frozenset[str]


def share_out(claims: Sequence[Claim], least: int) -> Shares:
    """Give every face to its best claim, but to none of an identity that ends with too few.

    What an identity with fewer than ``least`` faces gives up goes to the next best claims, which
    may save another: two sets that hold the same two photos under two names must not both be left
    with one. The identity with the fewest faces gives up first, then the one with the fewest
    claims, then the later name.
    """
    contest = _Contest(claims=claims)
    contest.begin()
    order = {name: -place for place, name in enumerate(sorted(contest.of_identity))}
    waiting = [contest.worth(name, order) for name in order if contest.owned[name] < least]
    heapq.heapify(waiting)
    while waiting:
        worth = heapq.heappop(waiting)
        name = worth[-1]
        if worth != contest.worth(name, order):
            # It was given faces meanwhile.
            if contest.owned[name] < least:
                heapq.heappush(waiting, contest.worth(name, order))
            continue
        contest.give_up(name)
    owner = {face: line[0] for face, line in contest.lines.items() if line}
    return Shares(owner=owner, held=frozenset(contest.held))


_Worth = tuple[int, int, int, str]


@dataclass(slots=True, kw_only=True)
class _Contest:
    """``lines`` are the claims on each face, best first, of identities that may have it still."""

    claims: Sequence[Claim]
    lines: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    of_identity: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    owned: Counter[str] = field(default_factory=Counter)
    held: set[str] = field(default_factory=set)

    def begin(self) -> None:
        for number, claim in enumerate(self.claims):
            self.lines[claim.face].append(number)
            self.of_identity[claim.identity].append(claim.face)
        for line in self.lines.values():
            line.sort(key=lambda number: (self.claims[number].rank, number))
            self.owned[self.claims[line[0]].identity] += 1

    def worth(self, name: str, order: Mapping[str, int]) -> _Worth:
        return (self.owned[name], len(self.of_identity[name]), order[name], name)

    def give_up(self, name: str) -> None:
        self.held.add(name)
        for face in self.of_identity[name]:
            line = self.lines[face]
            had = bool(line) and self.claims[line[0]].identity == name
            line[:] = [number for number in line if self.claims[number].identity != name]
            if had and line:
                self.owned[self.claims[line[0]].identity] += 1
        self.owned[name] = 0
