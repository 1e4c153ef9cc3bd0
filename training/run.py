"""The process that torchrun starts: ``torchrun --nproc-per-node 8 -m training.run --config FILE``.

Exit codes: 0 done, 1 the work failed, 2 the request was wrong, 75 stopped on request with a
checkpoint written. torchrun turns all but 0 into 1, so ``outcome.json`` in the run's folder says it
as well. Starting the same command again goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import distributed

from facedata.errors import (
    DivergenceError,
    IntegrityError,
    RequestError,
    WinnowError,
    WorkError,
)
from facedata.parent import follow_parent
from facedata.storage import Storage
from training.backbones import Backbone, BackboneConfig, build_backbone
from training.config import ModelConfig, TrainingConfig, load_config, to_yaml
from training.log import write_outcome
from training.loop import Ended, train
from training.prepare import BuildBackbone
from training.run_state import OUTCOME
from training.world import World, joined_world

STOPPED = 75
"""Exit code of a run that was asked to stop (``EX_TEMPFAIL`` of sysexits.h)."""

_LASTING = (RequestError, IntegrityError, DivergenceError)
"""What starting again does not mend."""
_LOST_READER = "DataLoader worker"
_LOST = ("Connection closed by peer", "Connection reset by peer", "gloo", "NCCL")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="training.run", description="Train as a file says.")
    parser.add_argument("--config", required=True, type=Path, help="YAML or JSON; see the recipes")
    asked = parser.parse_args(arguments)
    try:
        config = load_config(asked.config)
    except WinnowError as error:
        _say(str(error))
        return error.exit_code
    return run(config, build_configured)


def build_configured(config: ModelConfig) -> Backbone:
    """The backbone that a configuration names."""
    return build_backbone(
        BackboneConfig(
            name=config.backbone,
            embedding_size=config.embedding_size,
            dropout=config.dropout,
            drop_path=config.drop_path,
            activation_checkpointing=config.activation_checkpointing,
            channels_last=config.channels_last,
        )
    )


def run(config: TrainingConfig, build: BuildBackbone) -> int:
    """Train, tell how it ended, and return the exit code."""
    warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
    output = Path(config.output)
    started = False
    try:
        with joined_world(config.device) as world:
            world.from_first(lambda: _clean_start(config))
            started = True
            return _close(output, _train(config, world, build), first=world.rank == 0)
    except WinnowError as error:
        # An error is mostly every rank's: the first to tell it is enough.
        if not started or not (output / OUTCOME).exists():
            _tell_failure(output, error)
        return error.exit_code


def _train(config: TrainingConfig, world: World, build: BuildBackbone) -> Ended:
    """Train; what the machine does to a run becomes an error with a remedy.

    Raises:
        WorkError: when the GPU's memory is full, or another process of the run is gone.
    """
    try:
        return train(config, world, build)
    except torch.OutOfMemoryError as error:
        raise WorkError(
            f"the GPU of rank {world.rank} is out of memory; lower global_batch, "
            "class_layer.sample_rate or model.embedding_size, or use more GPUs; "
            f"{_short(error)}"
        ) from error
    except RuntimeError as error:
        message = _lost(error, world)
        if message is None:
            raise
        raise WorkError(
            f"rank {world.rank}: {message} ({_short(error)}); start again to resume from the last "
            "checkpoint"
        ) from error


def _lost(error: RuntimeError, world: World) -> str | None:
    """What was lost when a process that this one depends on is gone; None for other errors."""
    if _LOST_READER in str(error):
        return "lost a process that reads data, perhaps for want of memory (data.workers)"
    gone = isinstance(error, distributed.DistError) or any(sign in str(error) for sign in _LOST)
    return "lost another process of the run" if gone and world.size > 1 else None


def _clean_start(config: TrainingConfig) -> None:
    """Forget how an earlier start ended, and note what this one does."""
    storage = Storage(config.output)
    storage.remove(OUTCOME)
    storage.write("config.yaml", to_yaml(config).encode())


def _tell_failure(output: Path, error: WinnowError) -> None:
    _say(str(error))
    try:
        passing = not isinstance(error, _LASTING)
        write_outcome(output, "failed", str(error), error.exit_code, passing=passing)
    except WinnowError as problem:
        _say(str(problem))


def _close(output: Path, ended: Ended, *, first: bool) -> int:
    outcome = "done" if ended.done else "stopped"
    code = 0 if ended.done else STOPPED
    message = f"{outcome} after step {ended.step} of {ended.steps}"
    if first:
        write_outcome(output, outcome, message, code)
        _say(f"{message}; checkpoint: {ended.checkpoint or 'as before'}")
    return code


def _short(error: BaseException) -> str:
    return f"{' '.join(str(error).split()):.200}"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    if distributed.is_torchelastic_launched():
        # torchrun may be killed, and nobody would end this process then.
        follow_parent(signal.SIGKILL)
    sys.exit(main())
