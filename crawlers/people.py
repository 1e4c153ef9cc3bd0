"""The identity list of a crawl: a CSV with an ``identity`` column and columns for start URLs."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from crawlers.identity_name import normalise_identity
from crawlers.sites import Site, template_columns
from facedata.errors import SourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPerson:
    """One row of the list: the identity, and every column's text by name."""

    identity: str
    columns: Mapping[str, str]


def load_people(path: Path) -> list[ListedPerson]:
    """Read an identity list, in file order.

    One identity may have several rows, such as several pages on one site.

    Raises:
        SourceError: when the file is missing, no UTF-8 CSV, has no ``identity`` column or no
            row, or when a row has no identity or too many cells; the message names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            people = list(_people(csv.DictReader(stream, strict=True), path))
    except OSError as error:
        raise SourceError(
            f"identity list {path} cannot be read ({error.strerror}); check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise SourceError(f"identity list {path} is not UTF-8; save it as UTF-8 CSV") from error
    except csv.Error as error:
        raise SourceError(f"identity list {path} is not a CSV file: {error}") from error
    if not people:
        raise SourceError(f"identity list {path} has no row below its header; list the people")
    return people


def start_url(site: Site, person: ListedPerson, where: Path) -> str | None:
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


def _people(reader: csv.DictReader[str], path: Path) -> Iterator[ListedPerson]:
    header = [name.strip() for name in reader.fieldnames or []]
    if "identity" not in header:
        raise SourceError(
            f"identity list {path} has no column 'identity'; its columns are {header}"
        )
    if len(set(header)) < len(header):
        raise SourceError(f"identity list {path} has two columns of one name: {header}; rename one")
    reader.fieldnames = header
    for row in reader:
        where = f"{path}:{reader.line_num}"
        if None in row:
            raise SourceError(f"{where}: more cells than the header has columns; quote the commas")
        columns = {name: (text or "").strip() for name, text in row.items()}
        identity = normalise_identity(columns["identity"], where=where)
        yield ListedPerson(identity=identity, columns={**columns, "identity": identity})
