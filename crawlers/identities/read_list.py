"""Reading a list of people: checked whole, and each person in it once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from crawlers.identities.duplicates import merge_same_wikidata
from crawlers.identities.list_files import read_list_file
from crawlers.identities.people_rows import people_of_rows
from crawlers.identities.person import PERSON_COLUMNS, IdentityList
from crawlers.identity_name import normalise_identity
from facedata.errors import SourceError


def read_list(path: Path, *, author: str | None = None, purpose: str | None = None) -> IdentityList:
    """Read a CSV, YAML or Parquet list; ``author`` and ``purpose``, where given, stand for its own.

    Raises:
        SourceError: when the file cannot be read, or something in it is wrong; the message names
            the line of the first such thing, and how many more there are.
    """
    listed, problems = survey_list(path, author=author, purpose=purpose)
    if problems:
        more = len(problems) - 1
        shown_by = f" (and {more} more: winnow people check {path})" if more else ""
        raise SourceError(problems[0] + shown_by)
    return listed


def survey_list(
    path: Path, *, author: str | None = None, purpose: str | None = None
) -> tuple[IdentityList, list[str]]:
    """Read a list with everything that is wrong in it.

    Returns:
        The list as far as it is right, and one line for each problem.

    Raises:
        SourceError: when the file cannot be read at all, has no usable header, or lists nobody.
    """
    content = read_list_file(path)
    _check_columns(content.columns, path)
    if not content.rows:
        raise SourceError(f"identity list {path} has no row below its header; list the people")
    people, problems = people_of_rows(content.rows, datetime.now(UTC).year)
    people, duplicates = merge_same_wikidata(people)
    listed = IdentityList(
        path=str(path),
        sha256=content.sha256,
        people=tuple(people),
        author=_one_line(author or content.author, "author", path),
        purpose=_one_line(purpose or content.purpose, "purpose", path),
        duplicates=tuple(duplicates),
    )
    return listed, problems


def _check_columns(columns: Sequence[str], path: Path) -> None:
    if "identity" not in columns:
        raise SourceError(
            f"identity list {path} has no column 'identity'; its columns are {list(columns)}"
        )
    for column in columns:
        meant = "_".join(column.casefold().replace("-", " ").split())
        if meant in PERSON_COLUMNS and column != meant:
            raise SourceError(
                f"identity list {path} has the column {column!r}; call it {meant!r}, "
                "or something else when it is not that"
            )


def _one_line(text: str | None, what: str, path: Path) -> str | None:
    if text is None or not text.strip():
        return None
    return normalise_identity(text, where=f"identity list {path}: {what}")
