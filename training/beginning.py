"""Where a run begins: at its own last checkpoint, at another run's, or with nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facedata.storage import Storage
from facedata.versions import MANIFEST, Manifest
from training.carry import source_rows
from training.config import TrainingConfig
from training.data.released import TrainingSet
from training.run_state import check_same_run, check_source, finished, last_state


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
    state = last_state(Path(config.output))
    if state is not None:
        check_same_run(config, described.digest, state)
        return Beginning(folder=finished(Path(config.output))[-1], step=state.step)
    if config.checkpoint.initial is None:
        return Beginning()
    check_source(config)
    initial = Path(config.checkpoint.initial)
    earlier, later = (_manifest_of(Path(run)) for run in (initial, config.output))
    return Beginning(folder=finished(initial)[-1], sources=source_rows(earlier, later))


def _manifest_of(output: Path) -> Manifest:
    return Manifest.from_json(Storage(output).read(MANIFEST), str(output / MANIFEST))
