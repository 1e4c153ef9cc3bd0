"""What changed from one list of people to the next, by id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from crawlers.identities.list_files import ALIASES_SEPARATOR
from crawlers.identities.person import PERSON_COLUMNS, IdentityList, Person

_FIELDS = ("aliases", "wikidata", "birth_year", "group", "reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A value before and after; ``field`` is a column, and texts of several rows are joined."""

    identity: str
    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDiff:
    """The changes, each in the order of the list that has it; ``about`` are author and purpose."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    id_changed: tuple[tuple[str, str], ...]
    """Old and new id of people whose Wikidata id says that they are still listed."""
    renamed: tuple[Change, ...]
    changed: tuple[Change, ...]
    about: tuple[tuple[str, str, str], ...]
    """What, before, after."""

    @property
    def is_empty(self) -> bool:
        """Whether both lists say the same."""
        return not any(getattr(self, one.name) for one in fields(self))


def diff_lists(old: IdentityList, new: IdentityList) -> ListDiff:
    """Compare two lists; the order of people does not count.

    A person under another id is followed by the Wikidata id, and compared like the others. A person
    whose id became an alias without a Wikidata id is removed.
    """
    before = {person.identity: person for person in old.people}
    after = {person.identity: person for person in new.people}
    by_wikidata = {person.wikidata: person.identity for person in new.people if person.wikidata}
    gone = [person for person in old.people if person.identity not in after]
    moved = {
        person.identity: by_wikidata[person.wikidata]
        for person in gone
        if person.wikidata in by_wikidata
    }
    pairs = [
        (person, after[moved.get(person.identity, person.identity)])
        for person in old.people
        if person.identity in after or person.identity in moved
    ]
    arrived = set(moved.values())
    return ListDiff(
        added=tuple(name for name in after if name not in before and name not in arrived),
        removed=tuple(person.identity for person in gone if person.identity not in moved),
        id_changed=tuple(moved.items()),
        renamed=tuple(change for pair in pairs for change in _renamed(*pair)),
        changed=tuple(change for pair in pairs for change in _changed(*pair)),
        about=tuple(
            (what, _text(getattr(old, what)), _text(getattr(new, what)))
            for what in ("author", "purpose")
            if getattr(old, what) != getattr(new, what)
        ),
    )


def _renamed(old: Person, new: Person) -> Iterable[Change]:
    # A name that is only the id, for want of one, changes with it.
    if old.name != new.name and (old.name, new.name) != (old.identity, new.identity):
        yield Change(identity=new.identity, field="name", before=old.name, after=new.name)


def _changed(old: Person, new: Person) -> Iterable[Change]:
    before = {name: _text(getattr(old, name)) for name in _FIELDS} | _further(old)
    after = {name: _text(getattr(new, name)) for name in _FIELDS} | _further(new)
    for name in dict.fromkeys((*before, *after)):
        if before.get(name, "") != after.get(name, ""):
            yield Change(
                identity=new.identity,
                field=name,
                before=before.get(name, ""),
                after=after.get(name, ""),
            )


def _further(person: Person) -> dict[str, str]:
    """The texts of the further columns, those of several rows joined."""
    columns = [name for name in person.rows[0] if name not in PERSON_COLUMNS]
    return {name: ALIASES_SEPARATOR.join(row[name] for row in person.rows) for name in columns}


def _text(value: str | int | tuple[str, ...] | None) -> str:
    if isinstance(value, tuple):
        return ALIASES_SEPARATOR.join(value)
    return "" if value is None else str(value)
