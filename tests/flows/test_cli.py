"""The command's border: help, exit codes, one line per error, one JSON object."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def winnow(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_help_names_every_command() -> None:
    done = winnow("--help")
    assert done.returncode == 0
    commands = "build crawl ingest faces embed intra inter review release versions demo doctor"
    assert [name for name in commands.split() if name not in done.stdout] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file or directory"),
        ("name: a\nsources: []\n", "key 'sources' is []"),
        ("name: a\nsources: [{folder: {path: p}}]\nfoo: 1\n", "unknown key 'foo' with value 1"),
        (
            "name: a\nmodels: ./none\nsources: [{folder: {path: p}}]\n",
            "give a folder with .onnx files",
        ),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(
    text: str | None, message: str, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    (tmp_path / "p").mkdir()
    if text is not None:
        recipe.write_text(text)
    for options in ([], ["--dry-run"]):
        done = winnow("build", recipe, "--workspace", tmp_path / "work", *options)
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("winnow: ")
        assert message in done.stderr
    assert not list((tmp_path / "work").glob("**/*.*"))


def test_an_unknown_version_is_a_wrong_request(tmp_path: Path) -> None:
    done = winnow("versions", "show", "set-v0001", "-w", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "released versions: none" in done.stderr


def test_json_is_one_object(tmp_path: Path) -> None:
    done = winnow("versions", "list", "-w", tmp_path, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"versions": []}
    assert "no version released yet" in winnow("versions", "list", "-w", tmp_path).stdout
