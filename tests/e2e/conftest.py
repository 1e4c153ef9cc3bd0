"""The real command on photos of a few rendered people."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import demo
from demo.web import plan_web
from demo.web_files import write_web

ROOT = Path(__file__).parents[2]
POOL = "winnow"
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


@pytest.fixture(scope="session")
def weaken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], Path]:
    """``weaken(noise)``: the demo's pack, its recogniser worse for noise in every weight."""
    import torch

    from training.backbones import BackboneConfig, build_backbone
    from training.export import write_pack
    from training.weights import load_weights

    def write(noise: float) -> Path:
        pack = Path(demo.__file__).parent / "pack"
        backbone = build_backbone(BackboneConfig(name="micro", embedding_size=128))
        load_weights(backbone, pack)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in backbone.parameters():
                if weight.dim() > 1:
                    random = torch.randn(weight.shape, generator=generator)
                    weight.add_(random * weight.std() * noise)
        folder = tmp_path_factory.mktemp("weak") / "pack"
        write_pack(backbone, pack / "det.onnx", folder)
        return folder

    return write


@pytest.fixture
def start_worker(
    prefect_server: Any, wait_for: Callable[..., None]
) -> Iterator[Callable[..., Any]]:
    """``start_worker(**environment)``: a worker on the pool of ``prefect.yaml``, which it makes."""
    running: list[Any] = []

    def start(**environment: str) -> Any:
        options = ("--pool", POOL, "--type", "process", "--name", "tester")
        quick = {"PREFECT_WORKER_QUERY_SECONDS": "1"} | environment
        worker = prefect_server.start("worker", "worker", "start", *options, cwd=ROOT, **quick)
        running.append(worker)
        what = f"the pool (see {worker.log})"
        wait_for(lambda: prefect_server.ask("/work_pools/filter"), what, 180)
        return worker

    yield start
    for worker in running:
        worker.stop()


@dataclass(frozen=True)
class Asked:
    """A recipe over the rendered people whose review is on the real server."""

    server: Any
    name: str
    recipe: Path
    workspace: Path
    truth: dict[str, Any]

    @property
    def folder(self) -> Path:
        return self.workspace / "review" / self.name

    def questions(self, batch: str) -> dict[str, tuple[str, str]]:
        """Key of each question of a batch of pairs, and its two identities."""
        plan = json.loads((self.folder / "batches" / batch / "plan.json").read_text())
        items = plan["items"]
        return {item["key"]: (item["a"]["identity"], item["b"]["identity"]) for item in items}

    def tasks(self, kind: str = "pairs") -> dict[str, int]:
        """Task id by question key, as the server has them."""
        project = json.loads((self.folder / "projects.json").read_text())[kind]
        wanted = {"project": project, "page_size": 1000, "fields": "all"}
        found = self.server.ask("GET", "tasks", params=wanted)["tasks"]
        return {task["data"]["key"]: task["id"] for task in found}

    def is_same(self, pair: tuple[str, str]) -> bool:
        """Whether two names are one person."""
        slug = {person["name"]: person["slug"] for person in self.truth["people"]}
        same = {frozenset(slug[name] for name in both) for both in self.truth["same_person"]}
        return frozenset(pair) in same

    def answer(self, task: int, word: str) -> None:
        """Answer a question about a pair."""
        choice = {"from_name": "answer", "to_name": "closest", "type": "choices"}
        result = [choice | {"value": {"choices": [word]}}]
        self.server.ask("POST", f"tasks/{task}/annotations/", json={"result": result})


@pytest.fixture(scope="session")
def asked(label_studio: Any, photos: Path) -> Callable[..., Asked]:
    """``asked(name, **review)`` writes the recipe; the token is left to the test."""

    def write(name: str, **review: Any) -> Asked:
        home = label_studio.document_root / name
        home.mkdir(parents=True)
        keys = {
            "backend": "label-studio",
            "url": label_studio.url,
            "borderline": 0,
            "images": {"document_root": str(label_studio.document_root)},
        }
        recipe = {
            "name": name,
            "models": "demo",
            "sources": [{"folder": {"path": str(photos)}}],
            "inter": {"threshold": 0.2},
            "review": keys | review,
        }
        path = home / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe), "utf-8")
        truth = json.loads((photos.parents[1] / "truth.json").read_text("utf-8"))
        return Asked(label_studio, name, path, home / "work", truth)

    return write
