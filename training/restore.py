"""Filling a run from a checkpoint: on each rank by itself, whatever number of ranks wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load as read_together

from facedata.errors import IntegrityError, RequestError
from training.checkpoint import BACKBONE, OPTIMISER, Learned, layer_tensors, metric_tensors
from training.sharded_rows import RowLoadPlanner, RowShard

_WINDOW_NUMBERS = 2**26


def load(folder: Path, learned: Learned, sources: NDArray[np.int64] | None = None) -> None:
    """Fill what training changes from a checkpoint, on each rank by itself.

    Args:
        folder: a whole checkpoint.
        learned: filled in place; classes without a source keep what they have.
        sources: (classes,) int64, for every class its row in the checkpoint, or -1; None where
            every class has its own row, as in a run that goes on.

    Raises:
        IntegrityError: when the checkpoint is damaged.
        RequestError: when it is of another kind of backbone or class layer.
    """
    metadata = _metadata(folder)
    _load_module(folder, metadata, BACKBONE, learned.backbone)
    _load_optimiser(folder, metadata, learned.optimiser)
    own, sharded = layer_tensors(learned.class_layer)
    stored = _read(folder, metadata, own.keys() & metadata.state_dict_metadata.keys())
    for name, tensor in stored.items():
        own[name].copy_(tensor)
    for name, shard in sharded.items():
        here = _part(sources, shard.start, len(shard.rows))
        _load_rows(folder, metadata, (name, shard.rows), here)
    for name, rows in metric_tensors(learned.metric_losses).items():
        _load_rows(folder, metadata, (name, rows), _part(sources, 0, len(rows)))


def read_backbone(folder: Path) -> dict[str, torch.Tensor]:
    """The backbone's ``state_dict`` in a checkpoint, on the CPU.

    Raises:
        IntegrityError: when the checkpoint is damaged.
    """
    return _below(folder, _metadata(folder), BACKBONE)


def _load_module(folder: Path, metadata: Metadata, prefix: str, module: nn.Module) -> None:
    stored = _below(folder, metadata, prefix)
    own = module.state_dict()
    wrong = stored.keys() ^ own.keys() or {
        name for name in own if own[name].shape != stored[name].shape
    }
    if wrong:
        raise RequestError(
            f"checkpoint {folder}: not of this backbone, {min(wrong)!r} differs; give the model "
            "that it was trained with, or start without it"
        )
    module.load_state_dict(stored)


def _load_optimiser(folder: Path, metadata: Metadata, optimiser: torch.optim.Optimizer) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in _below(folder, metadata, OPTIMISER).items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _part(sources: NDArray[np.int64] | None, first: int, count: int) -> NDArray[np.int64]:
    """The sources of ``count`` classes from ``first`` on."""
    return np.arange(first, first + count) if sources is None else sources[first : first + count]


def _load_rows(
    folder: Path,
    metadata: Metadata,
    target: tuple[str, torch.Tensor],
    sources: NDArray[np.int64],
) -> None:
    """Fill a rank's rows from theirs in the checkpoint, reading a window of it at a time."""
    name, rows = target
    stored = metadata.state_dict_metadata.get(name)
    known = sources[sources >= 0]
    if not isinstance(stored, TensorStorageMetadata) or not len(known):
        return
    if stored.size[1:] != rows.shape[1:]:
        raise RequestError(
            f"checkpoint {folder}: {name} has rows of {tuple(stored.size[1:])}, this run of "
            f"{tuple(rows.shape[1:])}; keep model.embedding_size and class_layer.sub_centres"
        )
    step = max(1, _WINDOW_NUMBERS // max(1, rows[:1].numel()))
    order = np.argsort(sources, kind="stable")
    ascending = sources[order]
    for first in range(int(known.min()), int(known.max()) + 1, step):
        last = min(first + step, stored.size[0])
        low, high = np.searchsorted(ascending, (first, last))
        here = order[low:high]
        if len(here):
            window = torch.empty([last - first, *rows.shape[1:]], dtype=stored.properties.dtype)
            shard = RowShard(rows=window, start=first, total=stored.size[0])
            _run_load(folder, {}, RowLoadPlanner({name: shard}))
            taken = window[torch.from_numpy(sources[here] - first)]
            rows[torch.from_numpy(here).to(rows.device)] = taken.to(rows.device, rows.dtype)


def _below(folder: Path, metadata: Metadata, prefix: str) -> dict[str, torch.Tensor]:
    names = [name for name in metadata.state_dict_metadata if name.startswith(prefix)]
    found = _read(folder, metadata, names)
    return {name.removeprefix(prefix): tensor for name, tensor in found.items()}


def _read(folder: Path, metadata: Metadata, names: Iterable[str]) -> dict[str, torch.Tensor]:
    """Whole tensors, on the CPU."""
    tensors = {}
    for name in sorted(names):
        stored = metadata.state_dict_metadata[name]
        if isinstance(stored, TensorStorageMetadata):
            tensors[name] = torch.empty(stored.size, dtype=stored.properties.dtype)
    planner = DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    _run_load(folder, tensors, planner)
    return tensors


def _run_load(folder: Path, tensors: dict[str, torch.Tensor], planner: DefaultLoadPlanner) -> None:
    try:
        read_together(
            tensors, storage_reader=FileSystemReader(folder), planner=planner, no_dist=True
        )
    except (OSError, CheckpointException) as error:
        raise _damaged(folder, error) from error


def _metadata(folder: Path) -> Metadata:
    try:
        return FileSystemReader(folder).read_metadata()
    except (OSError, CheckpointException) as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: BaseException) -> IntegrityError:
    return IntegrityError(
        f"checkpoint {folder}: cannot be read ({' '.join(str(error).split()):.300}); remove the "
        "folder to resume from the one before"
    )
