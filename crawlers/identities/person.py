"""Whom a crawl is about: people, and the list that names them with its author and purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from facedata.errors import SourceError
from facedata.versions import IdentityListFacts

PERSON_COLUMNS = (
    "identity",
    "name",
    "aliases",
    "wikidata",
    "birth_year",
    "group",
    "reference",
)
"""Columns with a meaning of their own; all others are texts for start URLs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person of a list, whatever number of rows it takes."""

    identity: str
    """The stable id: the name of the person's class in a data set."""
    name: str
    """The name to show; the id where the list gives no name."""
    rows: tuple[Mapping[str, str], ...]
    """The texts of each row by column, as start URLs use them. A row of a duplicate has the id
    that it was listed under."""
    aliases: tuple[str, ...] = ()
    """Further names, in any script, in the order of the list."""
    wikidata: str | None = None
    """Such as ``Q42``."""
    birth_year: int | None = None
    group: str | None = None
    reference: str | None = None
    """Path or URL of a photo that shows this person for sure."""

    @property
    def names(self) -> tuple[str, ...]:
        """Everything the person is called: id, name and aliases, each once."""
        return tuple(dict.fromkeys((self.identity, self.name, *self.aliases)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A person who was listed twice: ``removed`` is the later id, now an alias of ``kept``.

    ``differs`` names the fields in which the two disagreed; those of ``kept`` stand.
    """

    removed: str
    kept: str
    wikidata: str
    differs: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.removed} is {self.kept} ({self.wikidata}), and becomes an alias"
        if self.differs:
            text += f"; {' and '.join(self.differs)} differ, what {self.kept} has stands"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityList:
    """People in the order of the list, each once; ``sha256`` (hex) is of the file's bytes."""

    path: str
    sha256: str
    people: tuple[Person, ...]
    author: str | None = None
    """Who wrote the list and answers for it."""
    purpose: str | None = None
    """What the photos are for."""
    duplicates: tuple[Duplicate, ...] = ()

    def check_recorded(self) -> None:
        """Check that the list says who made it and what for, as a crawl needs it.

        Raises:
            SourceError: when author or purpose is missing.
        """
        missing = [key for key in ("author", "purpose") if getattr(self, key) is None]
        if missing:
            raise SourceError(
                f"identity list {self.path} names no {' and no '.join(missing)}; write "
                f"{' and '.join(missing)} beside identities in the recipe's crawl source, or in "
                "the list itself where it is YAML or Parquet"
            )

    def facts(self, source: str) -> IdentityListFacts:
        """What a version records of the list that a crawl source used."""
        return IdentityListFacts(
            source=source,
            sha256=self.sha256,
            people=len(self.people),
            author=self.author,
            purpose=self.purpose,
            duplicates={one.removed: one.kept for one in self.duplicates},
        )
