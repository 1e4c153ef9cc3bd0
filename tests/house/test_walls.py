"""The walls between the rooms really fall on whoever walks through them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("facedata", "crawlers", "cleaning", "training", "flows", "demo", "benchmarks")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The rooms with only their layout, and the contracts of the project."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ROOMS:
        for init in sorted((ROOT / room).rglob("__init__.py")):
            target = tmp_path / init.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
    stages = tmp_path / "cleaning" / "stages"
    stages.mkdir(exist_ok=True)
    (stages / "__init__.py").touch()
    return tmp_path


def lint(house: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter as ``make check`` does."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=house, capture_output=True, text=True, check=False)


def test_the_empty_house_stands(house: Path) -> None:
    done = lint(house)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("facedata/extra.py", "crawlers"),
        ("crawlers/extra.py", "cleaning"),
        ("demo/extra.py", "cleaning.faces"),
        ("training/extra.py", "flows"),
        ("cleaning/faces/extra.py", "cleaning.identity"),
        ("cleaning/review/extra.py", "cleaning.export"),
        ("cleaning/export/extra.py", "cleaning.stages"),
        ("cleaning/extra.py", "facedata"),
        ("cleaning/stages/extra.py", "prefect"),
        ("benchmarks/extra.py", "prefect"),
        ("cleaning/identity/extra.py", "torch"),
        ("demo/extra.py", "torch.nn"),
        ("cleaning/faces/extra.py", "insightface.app"),
        ("cleaning/stages/extra.py", "scrapy"),
        ("cleaning/faces/extra.py", "faiss"),
    ],
)
def test_a_walk_through_a_wall_is_an_error(house: Path, module: str, imported: str) -> None:
    (house / module).write_text(f"import {imported}\n")

    done = lint(house)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("cleaning/stages/extra.py", "cleaning.faces"),
        ("cleaning/identity/join_cuda.py", "torch"),
        ("training/extra.py", "torch"),
        ("flows/extra.py", "prefect.events"),
        ("cleaning/faces/pack.py", "insightface.model_zoo"),
        ("crawlers/extra.py", "scrapy"),
        ("cleaning/identity/extra.py", "faiss"),
        ("benchmarks/extra.py", "insightface"),
    ],
)
def test_a_door_is_open(house: Path, module: str, imported: str) -> None:
    (house / module).write_text(f"import {imported}\n")

    done = lint(house)

    assert done.returncode == 0, done.stdout + done.stderr
