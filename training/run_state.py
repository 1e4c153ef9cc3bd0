"""What a run's folder says of the run, read without torch: its checkpoints, and their markers."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from facedata.errors import IntegrityError, RecipeError, RequestError
from training.config import TrainingConfig, config_from

MARKER = "state.json"
"""Written last into a checkpoint's folder; without it the folder counts for nothing."""

OUTCOME = "outcome.json"
"""How the last start ended; a start that is at work or was killed has none."""

_FOLDER = re.compile(r"step-(\d{9,})\Z")

_FREE_TO_CHANGE = frozenset(
    {"name", "output", "device", "precision", "logging", "checkpoint", "evaluation"}
)
_FREE_IN_DATA = frozenset(
    {"workspace", "verify", "workers", "prefetch", "cache", "cache_gigabytes", "read_attempts",
     "retry_seconds", "digest", "decode"}
)  # fmt: skip
_FREE_IN_MODEL = frozenset({"activation_checkpointing", "channels_last", "compile", "weights"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Where a run is: steps done, which give its position in the data, and what it trains on.

    ``config`` is the configuration as plain values.
    """

    step: int
    version: str
    digest: str
    classes: int
    world_size: int
    config: dict[str, Any]


def finished(output: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    found = [
        (int(match[1]), path)
        for path in (output / "checkpoints").glob("step-*")
        if (match := _FOLDER.match(path.name)) and (path / MARKER).exists()
    ]
    return [path for _, path in sorted(found)]


def read_state(folder: Path) -> RunState:
    """What a checkpoint's marker says.

    Raises:
        IntegrityError: when it is damaged.
    """
    try:
        return RunState(**json.loads((folder / MARKER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise IntegrityError(
            f"checkpoint {folder}: {MARKER} cannot be read ({error}); remove the folder to resume "
            "from the one before"
        ) from error


def last_step(output: Path) -> int:
    """The step of the newest whole checkpoint of a run; 0 without one."""
    found = finished(output)
    return int(found[-1].name.removeprefix("step-")) if found else 0


def last_state(output: Path) -> RunState | None:
    """What the newest whole checkpoint of a run says; None without one.

    Raises:
        IntegrityError: when its marker is damaged.
    """
    found = finished(output)
    return read_state(found[-1]) if found else None


def is_done(output: Path) -> bool:
    """Whether a run's last start came to the end of its training."""
    try:
        told = json.loads((output / OUTCOME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("outcome") == "done"


def check_same_run(config: TrainingConfig, digest: str, state: RunState) -> None:
    """Check that a run may go on from its own checkpoint; ``digest`` is the version's now.

    Raises:
        RequestError: when it was of another version, or with other values of what counts.
    """
    remedy = "use a new output, with checkpoint.initial to go on from this one"
    if state.digest != digest:
        raise RequestError(
            f"output {config.output}: holds a run on another version than {config.data.version} "
            f"(digest {state.digest}); {remedy}"
        )
    now, then = _fixed(plain(config)), _fixed(_with_defaults(state.config))
    for key in sorted(now.keys() | then.keys()):
        if now.get(key) != then.get(key):
            raise RequestError(
                f"output {config.output}: holds a run with {key} {then.get(key)}, the "
                f"configuration says {now.get(key)}; {remedy}"
            )


def check_source(config: TrainingConfig) -> None:
    """Check that there is a run at ``checkpoint.initial``, which a new run may start from.

    Raises:
        RequestError: when there is none, or it is of another optimiser.
    """
    initial = config.checkpoint.initial
    if initial is None:
        return
    state = last_state(Path(initial))
    if state is None:
        raise RequestError(
            f"checkpoint.initial {initial}: no whole checkpoint below it; give a run's output"
        )
    before = state.config["optimiser"]["name"]
    if before != config.optimiser.name:
        raise RequestError(
            f"checkpoint.initial {initial}: trained with {before}, optimiser.name is "
            f"{config.optimiser.name}; use the same"
        )


def plain(config: TrainingConfig) -> dict[str, Any]:
    """A configuration as values that JSON gives back as they are."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return values


def _with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """A stored configuration with keys that came later; as it is where a key of it is gone."""
    try:
        return plain(config_from(values, origin=MARKER))
    except RecipeError:
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
