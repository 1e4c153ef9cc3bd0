"""``winnow people``: lists of people, checked before anybody is crawled, and compared."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.cli_options import Json, answer

people_app = typer.Typer(
    help="""Check and compare lists of people.

    A list names whom a crawl may look for: CSV, YAML or Parquet with the column `identity`, and
    where known `name`, `aliases`, `wikidata`, `birth_year`, `group`, `reference`.
    docs/how-to/people.md describes them.""",
    no_args_is_help=True,
)


@people_app.command()
def check(
    people: Annotated[
        Path, typer.Argument(metavar="LIST", help="A .csv, .yaml or .parquet list of people.")
    ],
    as_json: Json = False,
) -> None:
    """Say what is wrong in a list, and what is worth a look; exit code 2 when something is wrong.

    Wrong are ids that are empty, values that cannot be, rows that contradict each other. Worth a
    look are people listed twice, names that are alike, aliases that are another person's name, and
    reference photos that are not there: a crawl goes on with them.
    """
    from flows import people as lists

    result = lists.check(people)
    answer(result, lists.check_lines(result), as_json)
    raise typer.Exit(0 if result["ok"] else 2)


@people_app.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The list as it was.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The list as it is now.")],
    as_json: Json = False,
) -> None:
    """Say who came, who went, whose id or name changed, and what else, by id."""
    from flows import people as lists

    result = lists.diff(old, new)
    if as_json or not sys.stdout.isatty():
        answer(result, lists.diff_lines(result), as_json)
        return
    from rich.console import Console

    Console().print(lists.diff_table(result))
