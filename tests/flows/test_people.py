"""``winnow people``: findings and changes as JSON values, as lines and as a table."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from facedata.errors import SourceError
from flows import people

OLD = """\
identity,name,wikidata,birth_year,slug
p1,Ann Example,Q1,1980,ann
p2,[red]Bo,,,bo
p3,王菲,Q3,,c
"""
NEW = """\
identity,name,wikidata,birth_year,slug,aliases,reference
p1,Anna Example,Q1,,ann,,ann.jpg
p4,Ann Example,,,bo,王菲,https://example.org/x.jpg
p9,王菲,Q3,1969,c,,no.jpg
p10,Ann E.,Q1,1980,ann2,,
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.csv"
    path.write_text(OLD, "utf-8")
    return path


@pytest.fixture
def new(tmp_path: Path) -> Path:
    path = tmp_path / "new.csv"
    path.write_text(NEW, "utf-8")
    (tmp_path / "ann.jpg").write_bytes(b"")
    return path


def winnow(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", "people", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_what_a_check_finds(new: Path) -> None:
    done = winnow("check", new, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "list": str(new),
        "sha256": hashlib.sha256(new.read_bytes()).hexdigest(),
        "ok": True,
        "people": 3,
        "rows": 4,
        "with_wikidata": 2,
        "author": None,
        "purpose": None,
        "problems": [],
        "duplicates": [{"removed": "p10", "kept": "p1", "wikidata": "Q1", "differs": []}],
        "near_names": [
            {"identities": ["p1", "p4"], "names": ["Anna Example", "Ann Example"], "edits": 1}
        ],
        "shared_names": [{"name": "王菲", "identities": ["p4", "p9"]}],
        "missing_references": ["p9"],
    }


def test_the_lines_of_a_check(new: Path) -> None:
    first, *others = people.check_lines(people.check(new))
    assert first.startswith(f"{new}: 3 people in 4 rows, 2 with a Wikidata id, sha256 ")
    assert others == [
        "  author  none here; a crawl needs one, here or in the recipe's crawl source",
        "  purpose none here; a crawl needs one, here or in the recipe's crawl source",
        "  listed twice: p10 is p1 (Q1), and becomes an alias",
        "  alike: p1 (Anna Example) and p4 (Ann Example)",
        "  one name: 王菲 is an alias or name of p4, p9",
        "  no such file: the reference photo of p9",
    ]


def test_a_list_with_problems_is_a_wrong_request(old: Path) -> None:
    old.write_text("identity,birth_year\n" + "p,1\n" * 25)
    done = winnow("check", old)
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert lines[3].startswith(f"  problem: {old}:2: birth_year '1' cannot be")
    assert lines[-1] == "  and 5 more like this; --json has all"
    assert len(people.check(old)["problems"]) == 25
    with pytest.raises(SourceError, match=r"\(and 24 more: winnow people check"):
        people.diff(old, old)


def test_a_file_that_is_no_list_is_one_line(tmp_path: Path) -> None:
    done = winnow("check", tmp_path / "none.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(
        "none.csv cannot be read (No such file or directory); check the path\n"
    )
    assert len(done.stderr.splitlines()) == 1


def test_a_diff_in_lines_and_as_json(old: Path, new: Path) -> None:
    assert winnow("diff", old, new).stdout.splitlines() == [
        f"{old} → {new}",
        "  + p4 (Ann Example)",
        "  - p2 ([red]Bo)",
        "  p3 is now p9, by the Wikidata id",
        "  p1: name 'Ann Example' → 'Anna Example'",
        "  p1: aliases '' → 'p10|Ann E.'",
        "  p1: reference '' → 'ann.jpg'",
        "  p1: slug 'ann' → 'ann|ann2'",
        "  p9: birth_year '' → '1969'",
        "  p9: reference '' → 'no.jpg'",
        "  1 added, 1 removed, 1 under another id, 1 renamed, 5 other values changed",
    ]
    result = json.loads(winnow("diff", old, new, "--json").stdout)
    assert result["added"] == [{"identity": "p4", "name": "Ann Example"}]
    assert result["id_changed"] == [{"before": "p3", "after": "p9"}]
    assert result["changed"][-1] == {
        "identity": "p9",
        "field": "reference",
        "before": "",
        "after": "no.jpg",
    }


def test_a_diff_as_a_table(old: Path, new: Path) -> None:
    text = _drawn(people.diff(old, new))
    assert "│ - │ p2 │ person     │ [red]Bo     │" in text
    assert "│ ~ │ p9 │ id         │ p3          │ p9" in text


def _drawn(result: people.Answer) -> str:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(people.diff_table(result))
    return captured.get()


def test_nothing_changed(old: Path, tmp_path: Path) -> None:
    head, *rows = OLD.splitlines()
    other = tmp_path / "other.csv"
    other.write_text("\n".join([head, *reversed(rows)]), "utf-8")
    assert people.diff_lines(people.diff(old, other))[1:] == [
        "  the same people, and the same about each"
    ]


def test_author_and_purpose_are_compared_too(tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text("author: Ann\npeople: [{identity: a}]\n")
    other.write_text("author: Bo\npeople: [{identity: a}]\n")
    result = people.diff(one, other)
    assert result["about"] == [{"field": "author", "before": "Ann", "after": "Bo"}]
    assert people.diff_lines(result)[1] == "  author 'Ann' → 'Bo'"
    assert "author" in _drawn(result)
