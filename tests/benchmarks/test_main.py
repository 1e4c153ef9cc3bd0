"""The bench runner's tables and files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.__main__ import Result, as_markdown, write


def result_of(rows: list[dict[str, Any]]) -> Result:
    return Result(
        name="join",
        method="How it is measured.",
        date="2026-01-01T00:00+00:00",
        seconds=1.5,
        machine="a machine, 2 cores, Linux",
        versions={"Python": "3.11.7", "numpy": "2.4.6"},
        rows=rows,
    )


def test_a_result_becomes_a_page() -> None:
    page = as_markdown(result_of([{"data": "a|b", "faces": 50_000, "speedup": 7.3129, "x": None}]))

    assert page == (
        "# join\n\nHow it is measured.\n\n"
        "| data | faces | speedup | x |\n| --- | --- | --- | --- |\n"
        "| a\\|b | 50,000 | 7.31 | – |\n\n"
        "2026-01-01T00:00+00:00, 1.5 s, on a machine, 2 cores, Linux. Python 3.11.7, numpy 2.4.6.\n"
    )


def test_a_wide_result_lies_on_its_side() -> None:
    rows = [{f"c{index}": index * scale for index in range(10)} for scale in (1, 1000)]

    page = as_markdown(result_of(rows))

    assert "| c0 | 0 | 0 |\n| --- | --- | --- |\n| c1 | 1 | 1,000 |" in page


def test_rows_of_different_keys_share_a_table() -> None:
    page = as_markdown(result_of([{"a": 1}, {"b": 2.0}]))

    assert "| a | b |\n| --- | --- |\n| 1 | – |\n| – | 2 |" in page


def test_json_and_markdown_are_written(tmp_path: Path) -> None:
    result = result_of([{"data": "x", "faces": 3}])

    write(result, tmp_path / "results")

    assert json.loads((tmp_path / "results" / "join.json").read_text())["rows"] == result.rows
    assert (tmp_path / "results" / "join.md").read_text() == as_markdown(result)


def test_an_unknown_bench_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nonsense"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "no such bench: nonsense; there are join, faces, noise, people, demo_pack" in done.stderr
