"""Checkpoints of a run: written whole or not at all, for any number of ranks to read.

``checkpoints/step-000000120/`` holds files of torch.distributed.checkpoint and, written last,
``state.json``: without it the folder is the rest of a run that died, and counts for nothing.
What a step draws by chance is a function of seed, step and rank, and where it reads one of the
position; so neither random generators nor readers have a state to keep.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.state_dict_saver import save as write_together

from facedata.errors import StorageError
from facedata.storage import Storage
from training.metric_losses import MetricLoss
from training.partial_fc import PartialFC
from training.run_state import MARKER, RunState, finished
from training.sharded_rows import RowSavePlanner, RowShard
from training.world import World

BACKBONE, OPTIMISER = "backbone.", "optimiser."
_LAYER, _METRIC, _CENTRES = "class_layer.", "metric_losses.", "centres."


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Everything that training changes.

    The class layer's state is spread over ranks; that of metric losses is the same on all.
    """

    backbone: nn.Module
    optimiser: torch.optim.Optimizer
    class_layer: PartialFC | None
    metric_losses: tuple[MetricLoss, ...] = ()


def save(output: Path, state: RunState, learned: Learned, world: World) -> Path:
    """Write a checkpoint; all ranks together, and what fails on one is raised on all.

    Raises:
        StorageError: when it cannot be written; earlier ones are untouched.
    """
    folder = output / "checkpoints" / f"step-{state.step:09d}"
    plain, sharded = layer_tensors(learned.class_layer)
    tensors = {
        **_prefixed(BACKBONE, learned.backbone.state_dict()),
        **_prefixed(OPTIMISER, _optimiser_tensors(learned.optimiser)),
        **plain,
        **metric_tensors(learned.metric_losses),
    }
    world.from_first(lambda: _make_anew(folder))
    with _written(folder):
        write_together(
            tensors,
            storage_writer=FileSystemWriter(folder, sync_files=True),
            planner=RowSavePlanner(sharded),
            process_group=world.control,
            no_dist=world.control is None,
        )
    marker = json.dumps(asdict(state), sort_keys=True, indent=1) + "\n"
    relative = f"checkpoints/{folder.name}/{MARKER}"
    world.from_first(lambda: Storage(output).write(relative, marker.encode()))
    return folder


def prune(output: Path, keep: int) -> None:
    """Remove all but the last ``keep`` whole checkpoints, and unfinished ones before the last.

    Raises:
        StorageError: when one cannot be removed.
    """
    kept = finished(output)[-keep:]
    for path in sorted((output / "checkpoints").glob("step-*")):
        if path in kept or not kept or path.name > kept[-1].name:
            continue
        try:
            _remove(path)
        except OSError as error:
            raise StorageError(
                f"checkpoint {path}: cannot be removed ({error.strerror}); make it writable and "
                "start again to resume"
            ) from error


def layer_tensors(
    layer: PartialFC | None,
) -> tuple[dict[str, torch.Tensor], dict[str, RowShard]]:
    """A class layer's tensors by their names in a checkpoint.

    Returns:
        What is the same on all ranks, and what has this rank's classes as first dimension.
    """
    plain: dict[str, torch.Tensor] = {}
    sharded: dict[str, RowShard] = {}
    if layer is None:
        return plain, sharded
    for name, tensor in layer.state_dict().items():
        if name.startswith(_CENTRES):
            start = layer.classes_here.start
            total = layer.config.classes
            sharded[_LAYER + name] = RowShard(rows=tensor, start=start, total=total)
        else:
            plain[_LAYER + name] = tensor
    return plain, sharded


def metric_tensors(losses: Sequence[MetricLoss]) -> dict[str, torch.Tensor]:
    """The tensors of metric losses, a row for each class, by their names in a checkpoint."""
    return {
        f"{_METRIC}{loss.config.name}.{name}": tensor
        for loss in losses
        for name, tensor in loss.state_dict().items()
    }


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Say which checkpoint it is that cannot be written."""
    try:
        yield
    except (OSError, CheckpointException) as error:
        reason = " ".join(str(error).split())
        raise StorageError(
            f"checkpoint {folder}: cannot be written ({reason:.300}); free space on the disk and "
            "start again to resume from the one before"
        ) from error


def _make_anew(folder: Path) -> None:
    with _written(folder):
        _remove(folder)
        folder.mkdir(parents=True)


def _remove(folder: Path) -> None:
    # Without its marker, a checkpoint that is half removed does not count.
    (folder / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """``<parameter number>.<name>`` → tensor; numbers of the groups come from the configuration."""
    state: dict[int, dict[str, torch.Tensor]] = optimiser.state_dict()["state"]
    return {
        f"{number}.{name}": tensor
        for number, tensors in state.items()
        for name, tensor in tensors.items()
        if tensor is not None
    }


def _prefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}
