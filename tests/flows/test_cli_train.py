"""The help of the training commands names what there is, and their examples are commands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app, main
from training.recipes import RECIPES


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that breaks few lines."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "dumb")


def help_of(command: str) -> str:
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    return " ".join(done.output.split())


def test_train_names_its_recipes_and_what_goes_together() -> None:
    text = help_of("train")
    assert [name for name in RECIPES if name not in text] == []
    assert "the same --nodes and --rendezvous, all but the first with --join" in text


@pytest.mark.parametrize(
    ("command", "lacks"),
    [
        ("train", "version 'people-v0001' is not in work"),
        ("evaluate", "evaluation set held-out/pairs.csv: no such file"),
        ("selftrain", "training recipe training.yaml: cannot be read"),
    ],
)
def test_examples_are_commands_that_lack_only_their_files(
    command: str,
    lacks: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    example = help_of(command).rpartition("Example: ")[2]
    assert example.startswith(f"winnow {command} ")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", shlex.split(example))

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"winnow: {lacks}")


def test_self_training_needs_to_be_told_how_to_train() -> None:
    done = CliRunner().invoke(app, ["selftrain", "recipe.yaml", "-w", "work"])
    assert done.exit_code == 2
    assert "Missing option '--training'" in done.output
