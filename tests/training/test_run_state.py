"""What a run's folder says: whether it may go on, and whether another may start from it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from facedata.errors import IntegrityError, RequestError
from training.config import DataConfig, ModelConfig, OptimiserConfig, ScheduleConfig, TrainingConfig
from training.run_state import (
    OUTCOME,
    RunState,
    check_same_run,
    check_source,
    is_done,
    last_state,
    plain,
)

CONFIG = TrainingConfig(
    name="mine",
    output="run",
    data=DataConfig(workspace="work", version="people-v0001"),
    model=ModelConfig(backbone="micro"),
)


def state(step: int = 4, config: dict[str, Any] | None = None) -> RunState:
    return RunState(
        step=step, version="people-v0001", digest="ab", classes=3, world_size=2,
        config=plain(CONFIG) if config is None else config,
    )  # fmt: skip


def leave_checkpoint(output: Path, left: RunState) -> None:
    folder = output / "checkpoints" / f"step-{left.step:09d}"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps(asdict(left)))


def test_the_newest_whole_checkpoint_speaks(tmp_path: Path) -> None:
    assert last_state(tmp_path) is None
    for step in (4, 8):
        leave_checkpoint(tmp_path, state(step))
    (tmp_path / "checkpoints" / "step-000000012").mkdir()

    assert last_state(tmp_path) == state(8)

    (tmp_path / "checkpoints" / "step-000000008" / "state.json").write_text("{")
    with pytest.raises(IntegrityError, match="remove the folder to resume from the one before"):
        last_state(tmp_path)


def test_what_does_not_count_may_change() -> None:
    changed = replace(
        CONFIG,
        device="cpu",
        precision="bfloat16",
        data=replace(CONFIG.data, workers=1),
        model=replace(CONFIG.model, compile=True, weights="pack"),
    )
    check_same_run(changed, "ab", state())


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"global_batch": 8}, "holds a run with global_batch 1024, the configuration says 8"),
        (
            {"schedule": ScheduleConfig(steps=9)},
            "with schedule.steps None, the configuration says 9",
        ),
        ({"model": ModelConfig(backbone="vit_t")}, "with model.backbone micro"),
        ({"class_layer": None}, "with class_layer.centre_dtype float32, the configuration says"),
    ],
)
def test_what_counts_may_not(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError) as raised:
        check_same_run(replace(CONFIG, **keys), "ab", state())
    assert says in str(raised.value)
    assert str(raised.value).endswith(
        "use a new output, with checkpoint.initial to go on from this one"
    )


def test_another_version_is_another_run() -> None:
    with pytest.raises(RequestError, match=r"another version than people-v0001 \(digest ab\)"):
        check_same_run(CONFIG, "cd", state())


def test_a_key_that_came_later_has_its_default_in_older_runs() -> None:
    older = plain(CONFIG)
    del older["data"]["augment"]["flip"], older["seed"], older["optimiser"]
    check_same_run(CONFIG, "ab", state(config=older))

    other = replace(CONFIG, seed=3)
    with pytest.raises(RequestError, match="with seed 0, the configuration says 3"):
        check_same_run(other, "ab", state(config=older))


def test_a_key_that_is_gone_is_named() -> None:
    older = plain(CONFIG) | {"temperature": 2}
    with pytest.raises(RequestError, match="with temperature 2, the configuration says None"):
        check_same_run(CONFIG, "ab", state(config=older))


def test_a_run_to_start_from_has_a_checkpoint_of_the_same_optimiser(tmp_path: Path) -> None:
    check_source(CONFIG)
    asked = replace(CONFIG, checkpoint=replace(CONFIG.checkpoint, initial=str(tmp_path)))
    with pytest.raises(RequestError, match="no whole checkpoint below it; give a run's output"):
        check_source(asked)

    leave_checkpoint(tmp_path, state())
    check_source(asked)
    with pytest.raises(RequestError, match=r"trained with sgd, optimiser\.name is adamw"):
        check_source(replace(asked, optimiser=OptimiserConfig(name="adamw")))


@pytest.mark.parametrize(
    ("text", "done"),
    [
        (None, False),
        ("", False),
        ("3", False),
        ('{"outcome": "failed"}', False),
        ('{"outcome": "done"}', True),
    ],
)
def test_a_run_is_done_when_it_says_so(tmp_path: Path, text: str | None, done: bool) -> None:
    if text is not None:
        (tmp_path / OUTCOME).write_text(text)
    assert is_done(tmp_path) is done
