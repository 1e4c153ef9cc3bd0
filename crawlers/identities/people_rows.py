"""From rows of text to people: every value checked, several rows of one person brought together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from crawlers.identities.list_files import ALIASES_SEPARATOR, Row
from crawlers.identities.person import Person
from crawlers.identity_name import normalise_identity, shown
from facedata.errors import SourceError

_WIKIDATA = re.compile(r"Q[1-9][0-9]{0,14}")
_YEAR = re.compile(r"[0-9]{4}")
# The earliest-born people of whom there is a photograph were born in the 1740s.
_FIRST_BIRTH_YEAR = 1740

_Value: TypeAlias = "str | int | tuple[str, ...]"


def people_of_rows(rows: Iterable[Row], this_year: int) -> tuple[list[Person], list[str]]:
    """Bring rows together by id, in the order of the first row of each.

    An empty cell says nothing: it agrees with whatever another row of the person says.

    Returns:
        The people of the rows without a problem, and one line for each problem: an id that is
        empty, a value that cannot be, rows of one id that say different things.
    """
    drafts: dict[str, _Draft] = {}
    problems = []
    for row in rows:
        try:
            identity = normalise_identity(row.cells["identity"], where=row.place)
            values = _values(row, this_year)
            drafts.setdefault(identity, _Draft()).add(identity, values, row)
        except SourceError as error:
            problems.append(str(error))
    return [draft.person(identity) for identity, draft in drafts.items()], problems


@dataclass(slots=True)
class _Draft:
    """What the rows of a person say so far: values and the place of each, by column."""

    values: dict[str, _Value] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    rows: list[Mapping[str, str]] = field(default_factory=list)

    def add(self, identity: str, values: Mapping[str, _Value], row: Row) -> None:
        for column, value in values.items():
            known = self.values.setdefault(column, value)
            first = self.places.setdefault(column, row.place)
            if known != value:
                raise SourceError(
                    f"{row.place}: {column} of identity {shown(identity)} is "
                    f"{_written(value)}, but {_written(known)} in {first}; make them agree, or "
                    "give each person an id"
                )
        as_written = row.cells["identity"] == identity
        self.rows.append(row.cells if as_written else {**row.cells, "identity": identity})

    def person(self, identity: str) -> Person:
        values: dict[str, Any] = {"name": identity, **self.values}
        known = {identity, values["name"]}
        values["aliases"] = tuple(one for one in values.get("aliases", ()) if one not in known)
        return Person(identity=identity, rows=tuple(self.rows), **values)


def _values(row: Row, this_year: int) -> dict[str, _Value]:
    """The person's values in a row, without those that are not given."""
    texts = {name: text.strip() for name, text in row.cells.items()}
    values: dict[str, _Value] = {}
    for column in ("name", "group", "reference"):
        if texts.get(column):
            values[column] = _clean(texts[column], column, row)
    if aliases := _aliases(texts.get("aliases", ""), row):
        values["aliases"] = aliases
    if wikidata := texts.get("wikidata"):
        if not _WIKIDATA.fullmatch(wikidata):
            raise SourceError(
                f"{row.place}: wikidata {shown(wikidata)} is no Wikidata id; "
                "give Q and its number, such as Q42"
            )
        values["wikidata"] = wikidata
    if year := texts.get("birth_year"):
        values["birth_year"] = _birth_year(year, row, this_year)
    return values


def _clean(text: str, column: str, row: Row) -> str:
    return normalise_identity(text, where=f"{row.place}: {column}")


def _aliases(text: str, row: Row) -> tuple[str, ...]:
    given = (alias.strip() for alias in text.split(ALIASES_SEPARATOR))
    return tuple(dict.fromkeys(_clean(alias, "aliases", row) for alias in given if alias))


def _birth_year(text: str, row: Row, this_year: int) -> int:
    if not _YEAR.fullmatch(text) or not _FIRST_BIRTH_YEAR <= int(text) <= this_year:
        raise SourceError(
            f"{row.place}: birth_year {shown(text)} cannot be; "
            f"give a year from {_FIRST_BIRTH_YEAR} to {this_year}, or leave it empty"
        )
    return int(text)


def _written(value: _Value) -> str:
    return shown(ALIASES_SEPARATOR.join(value) if isinstance(value, tuple) else str(value))
