"""The rows of an identity list, as a crawl of sites goes through them: whom, and where to start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from crawlers.identities.person import IdentityList
from crawlers.sites import template_columns
from facedata.errors import SourceError


class StartingSite(Protocol):
    """A site whose first page of a person follows from columns of the list."""

    @property
    def name(self) -> str:
        """What the site is called in messages."""

    @property
    def start_url(self) -> str:
        """With a placeholder such as ``{slug}`` for each column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPerson:
    """One row of the list: whose it is, and every column's text by name.

    The cell ``identity`` differs from ``identity`` in rows of a person listed twice.
    """

    identity: str
    columns: Mapping[str, str]


def rows_of(listed: IdentityList) -> list[ListedPerson]:
    """The rows of each person of a list, in the order of the list."""
    return [
        ListedPerson(identity=person.identity, columns=row)
        for person in listed.people
        for row in person.rows
    ]


def start_url(site: StartingSite, person: ListedPerson, where: Path) -> str | None:
    """Return the person's start URL on a site, or ``None`` when a cell that it needs is empty.

    Cells are percent-encoded whole, so that no name changes the shape of the URL.

    Raises:
        SourceError: when the template names a column that the list does not have.
    """
    names = template_columns(site.start_url)
    for name in names:
        if name not in person.columns:
            raise SourceError(
                f"site {site.name}: start_url has {{{name}}}, but {where} has the columns "
                f"{', '.join(person.columns)}; add the column or change the template"
            )
    cells = {name: quote(person.columns[name], safe="") for name in names}
    return site.start_url.format_map(cells) if all(cells.values()) else None
