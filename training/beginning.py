"""Where a run begins: at its own last checkpoint, at another run's, or with nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facedata.errors import RequestError
from facedata.storage import Storage
from facedata.versions import MANIFEST, Manifest
from training.carry import source_rows
from training.checkpoint import finished, read_state
from training.config import TrainingConfig
from training.data.released import TrainingSet

_FREE_TO_CHANGE = frozenset(
    {"name", "output", "device", "precision", "logging", "checkpoint", "evaluation"}
)
_FREE_IN_DATA = frozenset(
    {"workspace", "verify", "workers", "prefetch", "cache", "cache_gigabytes", "read_attempts",
     "retry_seconds", "digest", "decode"}
)  # fmt: skip
_FREE_IN_MODEL = frozenset({"activation_checkpointing", "channels_last", "compile", "weights"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """Where a run starts: the checkpoint to read, the steps already done, and, when the checkpoint
    is of another version, the row of every class in it."""

    folder: Path | None = None
    step: int = 0
    sources: NDArray[np.int64] | None = None


def find_beginning(config: TrainingConfig, described: TrainingSet) -> Beginning:
    """Go on from the run's own last checkpoint, else from another run's, else from nothing.

    Raises:
        RequestError: when what is there is not a run that this configuration can go on from.
    """
    own = finished(Path(config.output))
    if own:
        state = read_state(own[-1])
        _check_same_run(config, described, state.digest, state.config)
        return Beginning(folder=own[-1], step=state.step)
    if config.checkpoint.initial is None:
        return Beginning()
    initial = Path(config.checkpoint.initial)
    others = finished(initial)
    if not others:
        raise RequestError(
            f"checkpoint.initial {initial}: no whole checkpoint below it; give a run's output"
        )
    before = read_state(others[-1]).config["optimiser"]["name"]
    if before != config.optimiser.name:
        raise RequestError(
            f"checkpoint.initial {initial}: trained with {before}, optimiser.name is "
            f"{config.optimiser.name}; use the same"
        )
    earlier, later = (_manifest_of(Path(run)) for run in (initial, config.output))
    return Beginning(folder=others[-1], sources=source_rows(earlier, later))


def _manifest_of(output: Path) -> Manifest:
    return Manifest.from_json(Storage(output).read(MANIFEST), str(output / MANIFEST))


def _check_same_run(
    config: TrainingConfig, described: TrainingSet, digest: str, before: dict[str, Any]
) -> None:
    remedy = "use a new output, with checkpoint.initial to go on from this one"
    if digest != described.digest:
        raise RequestError(
            f"output {config.output}: holds a run on another version than {described.version} "
            f"(digest {digest}); {remedy}"
        )
    now, then = _fixed(plain(config)), _fixed(before)
    for key in sorted(now.keys() | then.keys()):
        if now.get(key) != then.get(key):
            raise RequestError(
                f"output {config.output}: holds a run with {key} {then.get(key)}, the "
                f"configuration says {now.get(key)}; {remedy}"
            )


def plain(config: TrainingConfig) -> dict[str, Any]:
    """A configuration as values that JSON gives back as they are."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return values


def _fixed(values: dict[str, Any]) -> dict[str, Any]:
    """What must not change when a run is resumed, flat: ``data.version`` → value."""
    free = {"data": _FREE_IN_DATA, "model": _FREE_IN_MODEL}
    found = {}
    for key, value in values.items():
        if key in _FREE_TO_CHANGE:
            continue
        parts = value if isinstance(value, dict) else {"": value}
        for name, part in parts.items():
            if name not in free.get(key, ()):
                found[f"{key}.{name}".rstrip(".")] = part
    return found
