"""Tensors of which every rank holds some rows, in torch.distributed.checkpoint's format.

A checkpoint holds each as one tensor of all rows, whatever the number of ranks that wrote it, so
any span of rows can be read back by any rank. Rows are stored in pieces, because reading part of a
piece takes memory for all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import (
    LoadPlan,
    SavePlan,
    TensorWriteData,
    WriteItem,
    WriteItemType,
)
from torch.distributed.checkpoint.planner_helpers import create_read_items_for_chunk_list

_PIECE_NUMBERS = 2**26


@dataclass(frozen=True, slots=True, kw_only=True)
class RowShard:
    """Rows ``start`` to ``start + len(rows)`` of a tensor of ``total`` rows."""

    rows: torch.Tensor
    start: int
    total: int


class RowSavePlanner(DefaultSavePlanner):
    """Saves plain tensors once, from the lowest rank, and the shards of every rank."""

    def __init__(self, shards: Mapping[str, RowShard]) -> None:
        super().__init__(
            flatten_state_dict=False,
            flatten_sharded_tensors=False,
            dedup_save_to_lowest_rank=True,
        )
        self._shards = shards

    def create_local_plan(self) -> SavePlan:
        """Add the pieces of this rank's shards to the plan for plain tensors."""
        plan = super().create_local_plan()
        pieces = [item for name, shard in self._shards.items() for item in _pieces(name, shard)]
        self.plan = replace(plan, items=[*plan.items, *pieces])
        return self.plan

    def lookup_object(self, index: MetadataIndex) -> torch.Tensor:
        """The rows of a piece, or a plain tensor."""
        shard = self._shards.get(index.fqn)
        if shard is None or index.offset is None:
            found: torch.Tensor = super().lookup_object(index)
            return found
        first = index.offset[0] - shard.start
        return shard.rows[first : first + _rows_per_piece(shard.rows)]


class RowLoadPlanner(DefaultLoadPlanner):
    """Fills the rows of shards; what else the checkpoint holds is not read."""

    def __init__(self, shards: Mapping[str, RowShard]) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self._shards = shards

    def create_local_plan(self) -> LoadPlan:
        """Read whatever stored pieces overlap the rows wanted."""
        items = []
        stored = self.metadata.state_dict_metadata if self.metadata else {}
        for name, shard in self._shards.items():
            tensor = stored[name]
            if isinstance(tensor, TensorStorageMetadata):
                wanted = ChunkStorageMetadata(
                    offsets=_offsets(shard.rows, shard.start), sizes=shard.rows.size()
                )
                items += create_read_items_for_chunk_list(name, tensor, [wanted])
        return LoadPlan(items)

    def lookup_tensor(self, index: MetadataIndex) -> torch.Tensor:
        """The tensor to fill."""
        return self._shards[index.fqn].rows


def _pieces(name: str, shard: RowShard) -> list[WriteItem]:
    step = _rows_per_piece(shard.rows)
    properties = TensorProperties.create_from_tensor(shard.rows)
    size = torch.Size([shard.total, *shard.rows.shape[1:]])
    items = []
    for first in range(0, len(shard.rows), step):
        piece = shard.rows[first : first + step]
        offsets = _offsets(piece, shard.start + first)
        chunk = ChunkStorageMetadata(offsets=offsets, sizes=piece.size())
        items.append(
            WriteItem(
                index=MetadataIndex(name, offsets),
                type=WriteItemType.SHARD,
                tensor_data=TensorWriteData(chunk=chunk, properties=properties, size=size),
            )
        )
    return items


def _offsets(rows: torch.Tensor, first: int) -> torch.Size:
    return torch.Size([first, *[0] * (rows.ndim - 1)])


def _rows_per_piece(rows: torch.Tensor) -> int:
    width = max(1, rows[:1].numel())
    return max(1, _PIECE_NUMBERS // width)
