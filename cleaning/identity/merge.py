"""Merges from people's decisions, never joining two identities that were told apart.

``same`` answers join identities, also through a chain. Where such a chain joins two identities
answered ``different``, at least one answer is wrong and nothing here can tell which: every ``same``
answer on any path between the two is suspended, and the identities on it are held until people have
looked again. Answers off those paths still merge. All answers are looked at together, so their
order does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from facedata.errors import RequestError
from facedata.ledger import Reason

Pair = tuple[str, str]
Graph = Mapping[str, set[str]]
Policy = Literal["keep-separate", "hold-out"]

_ANSWERS = ("same", "different", "unsure", "pending")


class DecidedPair(Protocol):
    """Two identities and the answer, such as ``records.CandidateRow`` or ``records.Decision``."""

    @property
    def identity_a(self) -> str: ...

    @property
    def identity_b(self) -> str: ...

    @property
    def decision(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Two identities answered ``different``, ``identity_a`` < ``identity_b``, that answers join.

    ``suspended`` are the ``same`` answers on the paths between them, in order of their names; the
    pair itself is one of them when it was answered both ways.
    """

    identity_a: str
    identity_b: str
    suspended: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merges:
    """What the decisions make of a set of identities.

    ``canonical`` maps every identity to the name of its group: the member with the most faces (on
    a tie, the first name). ``held`` are the identities that must not be released yet, and why.
    ``contradictions`` are for people to solve, in order of their names.
    """

    canonical: Mapping[str, str]
    held: Mapping[str, Reason]
    contradictions: tuple[Contradiction, ...]


def merge(face_counts: Mapping[str, int], pairs: Iterable[DecidedPair], policy: Policy) -> Merges:
    """Group the identities of ``face_counts`` (name → number of faces) by the decided ``pairs``.

    Pairs may name identities that are not among them: a chain through such a name still holds.
    ``policy`` is for pairs that are ``unsure`` or ``pending``: ``keep-separate`` leaves both sides
    as two people; ``hold-out`` holds the side with fewer faces (on a tie, the later name), so that
    nobody is released as two people. A pair whose answer follows from the others holds nothing.
    Groups are held whole.

    Raises ``RequestError`` for an unknown answer, or a pair of an identity with itself.
    """
    answers = _by_answer(pairs)
    contradictions = _contradictions(answers)
    suspended = {pair for contradiction in contradictions for pair in contradiction.suspended}
    groups = _groups(face_counts, answers, suspended)
    contradicted = {groups[name] for pair in suspended for name in pair}
    waiting: set[_Group] = set()
    if policy == "hold-out":
        waiting = _waiting(groups, answers, contradicted)
    reasons = dict.fromkeys(waiting, Reason.PENDING_MERGE)
    reasons |= dict.fromkeys(contradicted, Reason.CONTRADICTION)
    return Merges(
        canonical={name: groups[name].canonical for name in sorted(face_counts)},
        held={
            name: reasons[groups[name]] for name in sorted(face_counts) if groups[name] in reasons
        },
        contradictions=contradictions,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Identities that are one person; ``canonical`` is unique to the group."""

    canonical: str
    faces: int


def _by_answer(pairs: Iterable[DecidedPair]) -> dict[str, set[Pair]]:
    answers: dict[str, set[Pair]] = {answer: set() for answer in _ANSWERS}
    for pair in pairs:
        a, b = sorted((pair.identity_a, pair.identity_b))
        if pair.decision not in answers:
            raise RequestError(
                f"decision about {a!r} and {b!r} is {pair.decision!r}: "
                f"give one of {', '.join(_ANSWERS)}"
            )
        if a == b:
            raise RequestError(f"decision about {a!r} and itself: name two identities")
        answers[pair.decision].add((a, b))
    return answers


def _contradictions(answers: Mapping[str, set[Pair]]) -> tuple[Contradiction, ...]:
    graph = _graph(answers["same"])
    found = []
    for a, b in sorted(answers["different"]):
        between = _on_paths(graph, a, b)
        if between:
            suspended = sorted(pair for pair in answers["same"] if between.issuperset(pair))
            found.append(Contradiction(identity_a=a, identity_b=b, suspended=tuple(suspended)))
    return tuple(found)


def _groups(
    face_counts: Mapping[str, int], answers: Mapping[str, set[Pair]], suspended: set[Pair]
) -> dict[str, _Group]:
    """The group of every name, also of those that only decisions know."""
    graph = _graph(answers["same"] - suspended)
    decided = {name for pairs in answers.values() for pair in pairs for name in pair}
    groups: dict[str, _Group] = {}
    for name in sorted({*face_counts, *decided}):
        if name in groups:
            continue
        members = _reached(graph, name)
        # A name without faces of its own is canonical only where no member has any.
        canonical = min(members, key=lambda member: (-face_counts.get(member, -1), member))
        faces = sum(face_counts.get(member, 0) for member in members)
        groups |= dict.fromkeys(members, _Group(canonical=canonical, faces=faces))
    return groups


def _waiting(
    groups: Mapping[str, _Group], answers: Mapping[str, set[Pair]], contradicted: set[_Group]
) -> set[_Group]:
    """The smaller group of every undecided pair that no other answer settles."""
    apart = {frozenset((groups[a], groups[b])) for a, b in answers["different"]}
    waiting = set()
    for a, b in answers["unsure"] | answers["pending"]:
        sides = frozenset((groups[a], groups[b]))
        if len(sides) == 2 and sides not in apart and not sides & contradicted:
            waiting.add(max(sides, key=lambda group: (-group.faces, group.canonical)))
    return waiting


def _graph(pairs: Iterable[Pair]) -> Graph:
    graph: dict[str, set[str]] = {}
    for a, b in pairs:
        graph.setdefault(a, set()).add(b)
        graph.setdefault(b, set()).add(a)
    return graph


def _reached(graph: Graph, start: str, without: str | None = None) -> set[str]:
    """Names connected to ``start`` when ``without`` is taken away, ``start`` among them."""
    if start == without:
        return set()
    reached, frontier = {start}, [start]
    while frontier:
        new = set(graph.get(frontier.pop(), ())) - reached - {without}
        reached |= new
        frontier.extend(new)
    return reached


def _on_paths(graph: Graph, a: str, b: str) -> set[str]:
    """Names on some path from ``a`` to ``b`` that visits no name twice; empty when there is none.

    A name is off all of them exactly when one other name cuts it off from both ends (Menger).
    """
    component = _reached(graph, a)
    if b not in component:
        return set()
    on_paths = set(component)
    for cut in component:
        on_paths &= _reached(graph, a, cut) | _reached(graph, b, cut) | {cut}
    return on_paths
