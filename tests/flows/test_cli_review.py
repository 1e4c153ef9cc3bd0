"""``winnow review``: help that helps, and one clear line for every wrong request.

Needs no review server: what is wrong here is found before one is asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

TOKEN = {"LABEL_STUDIO_API_KEY": "0123456789abcdef"}
ON_SERVER = {"backend": "label-studio", "url": "http://127.0.0.1:9"}
"""A server that nobody runs."""


def winnow(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
    kept = {name: value for name, value in os.environ.items() if name not in TOKEN}
    wide = {"COLUMNS": "200"}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=kept | wide | environment,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a wrong request leaves."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("winnow: ")
    return lines[0]


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Path]:
    """``recipe(review, **keys)`` writes a recipe over one photo."""
    (tmp_path / "photos" / "Ada").mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(tmp_path / "photos" / "Ada" / "1.jpg")

    def write(review: dict[str, Any], **keys: Any) -> Path:
        path = tmp_path / "recipe.yaml"
        usual = {"name": "people", "models": "demo", "sources": [{"folder": {"path": "photos"}}]}
        path.write_text(yaml.safe_dump(usual | {"review": review} | keys))
        return path

    return write


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", ("LABEL_STUDIO_API_KEY", "run push pull status close undo listen")),
        ("run", ("Nothing is released", "--answers --reviewer")),
        ("push", ("never asked again", "--batches --dry-run --json")),
        ("pull", ("facedata.review.completed", "--json")),
        ("status", ("Krippendorff", "--json")),
        ("close", ("removed from the server", "--json")),
        ("undo", ("asks it anew", "IDENTITY_A IDENTITY_B --reviewer --note")),
        ("listen", ("SIGTERM", "--port --host")),
    ],
)
def test_help_says_what_happens(command: str, said: tuple[str, str]) -> None:
    done = winnow("review", *command.split(), "--help")

    assert (done.returncode, done.stderr) == (0, "")
    text, names = said
    assert text in done.stdout
    assert [name for name in names.split() if name.lower() not in done.stdout.lower()] == []


@pytest.mark.parametrize("command", ["push", "pull", "close", "listen"])
def test_a_review_with_files_has_no_server(
    command: str, recipe: Callable[..., Path], tmp_path: Path
) -> None:
    done = winnow("review", command, recipe({"backend": "file"}), "-w", tmp_path / "work", **TOKEN)

    line = complaint(done)
    assert "key 'review.backend' is 'file'; this needs 'label-studio'" in line
    assert "--answers" in line
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("command", [("build",), ("review",), ("review", "push")], ids=" ".join)
def test_without_a_token_nothing_begins(
    command: tuple[str, ...], recipe: Callable[..., Path], tmp_path: Path
) -> None:
    done = winnow(*command, recipe(ON_SERVER), "-w", tmp_path / "work")

    line = complaint(done)
    assert "LABEL_STUDIO_API_KEY is not set" in line
    assert "http://127.0.0.1:9" in line
    assert not (tmp_path / "work" / "stages").exists()


@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=["push", "dry run"])
def test_before_the_first_build_there_is_nothing_to_ask(
    options: tuple[str, ...], recipe: Callable[..., Path], tmp_path: Path
) -> None:
    done = winnow("review", "push", recipe(ON_SERVER), "-w", tmp_path / "work", *options, **TOKEN)

    line = complaint(done)
    assert "nothing of 'people' has been built yet" in line
    assert "`winnow build`" in line


def test_status_before_the_first_build(recipe: Callable[..., Path], tmp_path: Path) -> None:
    done = winnow("review", "status", recipe(ON_SERVER), "-w", tmp_path / "work", "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["batches"] == []


def test_undoing_what_nobody_decided(recipe: Callable[..., Path], tmp_path: Path) -> None:
    where = ("-w", tmp_path / "work")
    done = winnow("review", "undo", recipe(ON_SERVER), "Ada", "Nobody", *where)

    assert "nothing is decided about 'Ada' and 'Nobody'" in complaint(done)


def test_answers_that_are_not_there(recipe: Callable[..., Path], tmp_path: Path) -> None:
    answers = tmp_path / "none.csv"
    where = ("-w", tmp_path / "work")
    done = winnow("review", recipe({"backend": "file"}), *where, "--answers", answers)

    line = complaint(done)
    assert str(answers) in line
    assert "give a filled-in pairs.csv" in line


@pytest.mark.parametrize(
    ("review", "said"),
    [
        ({"bakend": "file"}, "unknown key 'review.bakend'"),
        ({**ON_SERVER, "url": "127.0.0.1:8080"}, "'review.url' is '127.0.0.1:8080'"),
        ({**ON_SERVER, "token": "abc"}, "unknown key 'review.token'"),
        ({**ON_SERVER, "images": {"serve": "http"}}, "base_url and serve: http need one another"),
        ({**ON_SERVER, "images": {"document_root": "elsewhere"}}, "is not below document_root"),
        ({**ON_SERVER, "images": {"serve": "presigned"}}, "cannot sign an address"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_mistakes_in_the_recipe(
    review: dict[str, Any], said: str, recipe: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    done = winnow("review", "pull", recipe(review), "-w", tmp_path / "work", **TOKEN)

    assert said in complaint(done)


def test_a_limit_on_noise_needs_an_audit(recipe: Callable[..., Path], tmp_path: Path) -> None:
    path = recipe({"backend": "file"}, release={"max_noise": 0.01})
    done = winnow("build", path, "-w", tmp_path / "work")

    assert "max_noise needs audit" in complaint(done)


@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=["build", "dry run"])
def test_known_answers_that_are_not_there_are_missed_before_the_work(
    options: tuple[str, ...], recipe: Callable[..., Path], tmp_path: Path
) -> None:
    path = recipe({**ON_SERVER, "gold": "gold.csv"})
    done = winnow("build", path, "-w", tmp_path / "work", *options, **TOKEN)

    line = complaint(done)
    assert str(tmp_path / "gold.csv") in line
    assert "identity_a, identity_b, decision" in line
    assert not (tmp_path / "work" / "stages").exists()


def test_a_wrong_word_among_the_known_answers(recipe: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "gold.csv").write_text("identity_a,identity_b,decision\nAda,Bo,maybe\n")
    path = recipe({**ON_SERVER, "gold": "gold.csv"})
    done = winnow("build", path, "-w", tmp_path / "work", **TOKEN)

    assert "gold.csv line 2: decision 'maybe' is not a known answer" in complaint(done)
