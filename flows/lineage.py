"""What a training run began with, noted before its first step: a model card tells it later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cleaning.faces.network import file_digest
from facedata.errors import IntegrityError, ModelError
from facedata.models import WEIGHTS
from facedata.storage import Storage
from training.config import TrainingConfig
from training.run_state import finished, last_state

_START = "start.json"

Start = dict[str, Any]
"""``weights`` and their ``sha256``; or ``run`` with its ``version``, ``digest`` and ``steps``; or
nothing, for random weights."""


def note_start(config: TrainingConfig) -> None:
    """Note what a run begins with; one that goes on keeps its note.

    Raises:
        ModelError: the weights cannot be read.
        StorageError: the note cannot be written.
    """
    if not finished(Path(config.output)):
        Storage(config.output).write(_START, json.dumps(_start(config)).encode())


def read_start(output: Path) -> Start | None:
    """What a run began with; None where nothing was noted.

    Raises:
        IntegrityError: the note is damaged.
    """
    run = Storage(output)
    if not run.exists(_START):
        return None
    try:
        return dict(json.loads(run.read(_START)))
    except (ValueError, TypeError) as error:
        raise IntegrityError(
            f"{output / _START}: damaged ({error}); remove it, and the card says that it is unknown"
        ) from error


def start_line(start: Start | None) -> str:
    """The same for people."""
    if start is None:
        return "It was not noted what training started from"
    if "run" in start:
        return (
            f"Training went on from the run `{start['run']}`, {start['steps']} steps on "
            f"`{start['version']}`, digest `{start['digest']}`"
        )
    if "weights" in start:
        return f"Training started from `{start['weights']}`, sha256 `{start['sha256']}`"
    return "Training started from random weights"


def check_weights(config: TrainingConfig) -> None:
    """Check that the weights to start from are there, without reading them.

    Raises:
        ModelError: they are not.
    """
    if config.model.weights is not None and not _weights(config.model.weights).is_file():
        raise ModelError(
            f"weights {config.model.weights}: no such file, or a pack without {WEIGHTS}; name a "
            "pack that was trained here, or leave model.weights out to start afresh"
        )


def _start(config: TrainingConfig) -> Start:
    initial, weights = config.checkpoint.initial, config.model.weights
    state = None if initial is None else last_state(Path(initial))
    if state is not None:
        return {
            "run": initial,
            "version": state.version,
            "digest": state.digest,
            "steps": state.step,
        }
    if weights is None:
        return {}
    path = _weights(weights)
    try:
        return {"weights": str(path), "sha256": file_digest(path)}
    except OSError as error:
        raise ModelError(
            f"weights {path}: cannot be read ({error.strerror}); check the rights"
        ) from error


def _weights(named: str) -> Path:
    """The file of weights that a pack's folder, or a path, means."""
    path = Path(named)
    return path / WEIGHTS if path.is_dir() else path
