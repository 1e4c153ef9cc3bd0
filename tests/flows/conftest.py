"""Small released versions, as the training room's tests make them, and a run on one of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.launch import CONFIG
from training.config import (
    CheckpointConfig,
    DataConfig,
    LoggingConfig,
    ModelConfig,
    OptimiserConfig,
    ScheduleConfig,
    TrainingConfig,
    to_yaml,
)

PEOPLE = {"Ada": 0, "Bea": 1, "Cid": 2}


@pytest.fixture(scope="session")
def make_version() -> Callable[..., Any]:
    """``make_version(root, {identity: class index}, version=, images=, …)``."""
    path = Path(__file__).parents[1] / "training" / "conftest.py"
    spec = importlib.util.spec_from_file_location("small_versions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Callable[..., Any] = module.write_version
    return made


@pytest.fixture
def start_run(tmp_path: Path, make_version: Callable[..., Any]) -> Callable[..., Path]:
    """``start_run(steps, **keys)`` prepares a run in a folder and returns the folder."""

    def prepare(steps: int, **keys: Any) -> Path:
        workspace, output = tmp_path / "workspace", tmp_path / "run"
        if not workspace.exists():
            make_version(workspace, PEOPLE, images=8, shard_images=12)
        config = TrainingConfig(
            name="tiny",
            output=str(output),
            data=DataConfig(workspace=str(workspace), version="people-v0001", workers=1),
            model=ModelConfig(backbone="mobilefacenet", embedding_size=32),
            optimiser=OptimiserConfig(learning_rate=0.02),
            schedule=ScheduleConfig(steps=steps),
            global_batch=4,
            device="cpu",
            logging=LoggingConfig(every=1),
            checkpoint=CheckpointConfig(every=2),
        )
        output.mkdir(exist_ok=True)
        (output / CONFIG).write_text(to_yaml(replace(config, **keys)))
        return output

    return prepare
