"""``python -m benchmarks [NAME ...]``: run the benches, print their tables, keep the results.

A bench is a module here with ``run() -> list[dict]``, one dict per row; its docstring says how it
measures. One that takes long at its full size has ``run_full()`` too, for ``--full``. Each result
is written to ``benchmarks/results/<name>.json`` and ``<name>.md`` with the machine, the versions
and the date.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

BENCHES = (
    "join",
    "faces",
    "noise",
    "people",
    "demo_pack",
    "review",
    "all_pairs",
    "partial_fc",
    "train_shards",
    "demo_training",
    "crawl",
    "crawl_faults",
)
RESULTS = Path(__file__).parent / "results"
_PACKAGES = (
    "aiohttp",
    "numpy",
    "scipy",
    "onnxruntime",
    "opencv-python",
    "faiss-cpu",
    "insightface",
    "label-studio-sdk",
    "torch",
)
_WIDE = 8
"""A table with more columns than this is shown with one column per row of the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one bench measured, where and when; ``date`` is ISO 8601 in UTC."""

    name: str
    method: str
    date: str
    seconds: float
    machine: str
    versions: dict[str, str]
    rows: list[dict[str, Any]]


def measure(name: str, full: bool = False) -> Result:
    """Run one bench; at its full size, where it has one, it is called ``<name>_full``."""
    bench = importlib.import_module(f"benchmarks.{name}")
    started = time.monotonic()
    is_full = full and hasattr(bench, "run_full")
    rows: list[dict[str, Any]] = bench.run_full() if is_full else bench.run()
    return Result(
        name=f"{name}_full" if is_full else name,
        method=(bench.__doc__ or "").strip(),
        date=datetime.now(UTC).isoformat(timespec="minutes"),
        seconds=round(time.monotonic() - started, 1),
        machine=_machine(),
        versions=_versions(),
        rows=rows,
    )


def write(result: Result, folder: Path) -> None:
    """Keep a result as JSON for programs and as Markdown for people."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(result), indent=1, ensure_ascii=False)
    (folder / f"{result.name}.json").write_text(text + "\n", "utf-8")
    (folder / f"{result.name}.md").write_text(as_markdown(result), "utf-8")


def as_markdown(result: Result) -> str:
    """The result as a Markdown page."""
    header, *body = _cells(result.rows)
    lines = [f"| {' | '.join(header)} |", f"| {' | '.join('---' for _ in header)} |"]
    lines += [f"| {' | '.join(row)} |" for row in body]
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return (
        f"# {result.name}\n\n{result.method}\n\n" + "\n".join(lines) + "\n\n"
        f"{result.date}, {result.seconds} s, on {result.machine}. {versions}.\n"
    )


def as_table(result: Result) -> Table:
    """The result for a terminal."""
    header, *body = _cells(result.rows)
    table = Table(title=result.name)
    for position, name in enumerate(header):
        table.add_column(name, justify="left" if position == 0 else "right")
    for row in body:
        table.add_row(*row)
    return table


def _cells(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Header and rows as text; wide results are turned on their side."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names] + [[_text(row.get(name)) for name in names] for row in rows]
    if len(names) > _WIDE and len(names) > len(rows):
        return [list(column) for column in zip(*cells, strict=True)]
    return cells


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("|", "\\|")


def _machine() -> str:
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.machine()
    return f"{cpu}, {os.cpu_count()} cores, {platform.system()}"


def _versions() -> dict[str, str]:
    installed = {found.name.lower(): found.version for found in metadata.distributions()}
    known = {name: installed[name] for name in _PACKAGES if name in installed}
    return {"Python": platform.python_version(), **known}


def main() -> None:
    """Run the benches that are named, all of them by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--full", action="store_true", help="sizes that take long, where there are")
    given = parser.parse_args()
    names = given.names or BENCHES
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        parser.error(f"no such bench: {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    console = Console()
    for name in names:
        result = measure(name, given.full)
        if not result.rows:
            console.print(f"{name}: nothing to measure here (its data is not on this machine)")
            continue
        write(result, RESULTS)
        console.print(as_table(result))
        console.print(
            f"{result.seconds} s on {result.machine}; kept in {RESULTS / result.name}.md\n"
        )


if __name__ == "__main__":
    main()
