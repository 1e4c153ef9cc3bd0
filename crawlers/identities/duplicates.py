"""People who are listed twice, and names that several people share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from crawlers.identities.person import Duplicate, Person
from facedata.names import normalise_name

_FILLED_IN = ("birth_year", "group", "reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedName:
    """A name, as it was first written, that is an alias of one of these people and a name, alias
    or id of the others; ``identities`` are in the order of the list."""

    name: str
    identities: tuple[str, ...]


def merge_same_wikidata(people: Sequence[Person]) -> tuple[list[Person], list[Duplicate]]:
    """Make one person of all that have the same Wikidata id, under the first of their ids.

    The ids, names and aliases of the others become aliases, their rows are kept, and they fill in
    what the first does not say.
    """
    kept: dict[str, Person] = {}
    first_ids: dict[str, str] = {}
    duplicates = []
    for person in people:
        if person.wikidata is None:
            kept[person.identity] = person
            continue
        first_id = first_ids.setdefault(person.wikidata, person.identity)
        if first_id == person.identity:
            kept[first_id] = person
            continue
        first = kept[first_id]
        duplicates.append(
            Duplicate(
                removed=person.identity,
                kept=first_id,
                wikidata=person.wikidata,
                differs=_differences(first, person),
            )
        )
        kept[first_id] = _united(first, person)
    return list(kept.values()), duplicates


def find_shared_names(people: Iterable[Person]) -> list[SharedName]:
    """Find aliases that are another person's id, name or alias, in whatever spelling.

    Homonyms exist: this is to be looked at, and no error. People who share a name that is nobody's
    alias are for :func:`~crawlers.identities.near_names.find_near_names`.
    """
    spelling: dict[str, str] = {}
    owners: dict[str, dict[str, None]] = {}
    alias_keys = set()
    for person in people:
        aliases = set(person.aliases)
        for name in person.names:
            key = normalise_name(name) or name
            spelling.setdefault(key, name)
            owners.setdefault(key, {})[person.identity] = None
            if name in aliases:
                alias_keys.add(key)
    return [
        SharedName(name=spelling[key], identities=tuple(identities))
        for key, identities in owners.items()
        if len(identities) > 1 and key in alias_keys
    ]


def _differences(first: Person, other: Person) -> tuple[str, ...]:
    """Fields in which both say something, and not the same."""
    return tuple(
        name
        for name in _FILLED_IN
        if None not in (getattr(first, name), getattr(other, name))
        and getattr(first, name) != getattr(other, name)
    )


def _united(first: Person, other: Person) -> Person:
    known = {first.identity, first.name}
    aliases = dict.fromkeys((*first.aliases, *other.names))
    return replace(
        first,
        aliases=tuple(name for name in aliases if name not in known),
        rows=first.rows + other.rows,
        birth_year=other.birth_year if first.birth_year is None else first.birth_year,
        group=first.group or other.group,
        reference=first.reference or other.reference,
    )
