"""The real command on photos of a few rendered people."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.web import plan_web, write_web

SEED = 11
PEOPLE = 6
PHOTOS_EACH = 8


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        assert self.code == 0, self.err
        value: dict[str, Any] = json.loads(self.out)
        return value

    @property
    def complaint(self) -> str:
        """The one line on standard error that a failed command leaves."""
        lines = self.err.splitlines()
        assert "Traceback" not in self.err, self.err
        assert len(lines) == 1, self.err
        assert lines[0].startswith("winnow: "), self.err
        return lines[0].removeprefix("winnow: ")


@dataclass(frozen=True)
class Winnow:
    """The installed command, run in a child process.

    It talks to a server that is already there, which saves starting one for every build; with
    ``alone`` it has none and Prefect starts a temporary one, as for most people.
    """

    api: str
    command: str = str(Path(sys.executable).with_name("winnow"))

    def environment(self, *, alone: bool = False) -> dict[str, str]:
        """The environment of a run."""
        return os.environ | ({} if alone else {"PREFECT_API_URL": self.api})

    def __call__(
        self, *arguments: str | Path, before: Sequence[str] = (), alone: bool = False
    ) -> Finished:
        done = subprocess.run(
            [*before, self.command, *map(str, arguments)],
            env=self.environment(alone=alone),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def winnow(prefect_server: Any) -> Winnow:
    """``winnow(*arguments, before=(...), alone=False)`` returns how the command ended."""
    assert shutil.which(Winnow.command), "install the project: make test does"
    return Winnow(api=prefect_server.api)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of six rendered people, one folder each."""
    folder = tmp_path_factory.mktemp("web")
    write_web(plan_web(SEED, PEOPLE, PHOTOS_EACH), folder)
    return folder / "site" / "photos"


WriteRecipe = Callable[..., Path]


@pytest.fixture
def write_recipe(tmp_path: Path) -> WriteRecipe:
    """Write a recipe over a folder of photos; keys given replace or join the usual ones."""

    def write(photos: Path, file: str = "recipe.yaml", **keys: Any) -> Path:
        recipe = {
            "name": "people",
            "models": "demo",
            "sources": [{"folder": {"path": str(photos)}}],
        }
        path = tmp_path / file
        path.write_text(yaml.safe_dump(recipe | keys, allow_unicode=True), "utf-8")
        return path

    return write


@pytest.fixture
def recipe(photos: Path, write_recipe: WriteRecipe) -> Path:
    """A recipe over the rendered people."""
    return write_recipe(photos)
