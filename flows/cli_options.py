"""What the commands share: their usual arguments, and how they answer."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Runner(StrEnum):
    """How partitions run in parallel on this machine."""

    THREADS = "threads"
    PROCESSES = "processes"


RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")]
Workspace = Annotated[
    str,
    typer.Option("--workspace", "-w", metavar="DIR", help="Where stages and versions are kept."),
]
RunnerOption = Annotated[Runner, typer.Option(help="How partitions run in parallel.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


def answer(result: dict[str, Any], lines: list[str], as_json: bool) -> None:
    """Print the result: as one JSON object, or as lines for people."""
    if as_json:
        typer.echo(json.dumps(result, sort_keys=True, ensure_ascii=False))
        return
    for line in lines:
        typer.echo(line)
