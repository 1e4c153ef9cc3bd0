"""What a run began with is noted once, with digests, and told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from facedata.errors import IntegrityError, ModelError
from flows.lineage import check_weights, note_start, read_start, start_line
from training.config import CheckpointConfig, DataConfig, ModelConfig, TrainingConfig
from training.run_state import RunState, plain


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    return TrainingConfig(
        name="mine",
        output=str(tmp_path / "run"),
        data=DataConfig(workspace="work", version="people-v0001"),
        model=ModelConfig(backbone="micro"),
    )


@pytest.fixture
def leave_checkpoint() -> Callable[[TrainingConfig], None]:
    def leave(config: TrainingConfig) -> None:
        folder = Path(config.output) / "checkpoints" / "step-000000004"
        folder.mkdir(parents=True)
        state = RunState(
            step=4, version="people-v0001", digest="ab", classes=3, world_size=1,
            config=plain(config),
        )  # fmt: skip
        (folder / "state.json").write_text(json.dumps(asdict(state)))

    return leave


def test_weights_are_noted_with_their_digest(config: TrainingConfig, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    asked = replace(config, model=replace(config.model, weights=str(pack)))
    with pytest.raises(ModelError, match=r"pack: no such file, or a pack without rec\.pt"):
        check_weights(asked)
    with pytest.raises(ModelError, match="cannot be read"):
        note_start(asked)

    (pack / "rec.pt").write_bytes(b"tensors")
    check_weights(asked)
    note_start(asked)

    digest = hashlib.sha256(b"tensors").hexdigest()
    start = {"weights": str(pack / "rec.pt"), "sha256": digest}
    assert read_start(Path(asked.output)) == start
    assert start_line(start) == f"Training started from `{pack}/rec.pt`, sha256 `{digest}`"


def test_a_run_is_noted_with_its_version(
    config: TrainingConfig, leave_checkpoint: Callable[[TrainingConfig], None], tmp_path: Path
) -> None:
    earlier = str(tmp_path / "earlier")
    leave_checkpoint(replace(config, output=earlier))

    note_start(replace(config, checkpoint=CheckpointConfig(initial=earlier)))

    start = read_start(Path(config.output))
    assert start == {"run": earlier, "version": "people-v0001", "digest": "ab", "steps": 4}
    assert start_line(start) == (
        f"Training went on from the run `{earlier}`, 4 steps on `people-v0001`, digest `ab`"
    )


def test_a_run_that_goes_on_keeps_its_note(
    config: TrainingConfig, leave_checkpoint: Callable[[TrainingConfig], None], tmp_path: Path
) -> None:
    assert start_line(read_start(Path(config.output))) == (
        "It was not noted what training started from"
    )
    note_start(config)
    leave_checkpoint(config)
    (tmp_path / "rec.pt").write_bytes(b"")
    note_start(replace(config, model=replace(config.model, weights=str(tmp_path / "rec.pt"))))

    assert read_start(Path(config.output)) == {}
    assert start_line({}) == "Training started from random weights"


@pytest.mark.parametrize("text", ["{", "3"])
def test_a_damaged_note_is_said(config: TrainingConfig, text: str) -> None:
    note_start(config)
    (Path(config.output) / "start.json").write_text(text)
    with pytest.raises(IntegrityError, match=r"start\.json: damaged"):
        read_start(Path(config.output))
