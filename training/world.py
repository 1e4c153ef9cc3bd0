"""The processes of a run: who this one is, and how all agree before they act.

Under torchrun there are as many as it started; without it there is one. An error on one rank is
raised on all of them, because a rank that goes on alone waits for ever.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from facedata.errors import RequestError, WinnowError

_PATIENCE = timedelta(minutes=30)
"""How long ranks wait for one another between steps, as for data or for a checkpoint."""
_NCCL_PATIENCE = timedelta(minutes=5)
"""The same inside a step: NCCL does not notice when a rank dies, so this ends the others."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process among ``size``; ``control`` is a gloo group for small talk, None when alone."""

    rank: int
    size: int
    device: torch.device
    control: distributed.ProcessGroup | None

    def any_of(self, *flags: bool) -> tuple[bool, ...]:
        """Whether each flag is set on any rank; all ranks together."""
        if self.control is None:
            return flags
        votes = torch.tensor(flags, dtype=torch.uint8)
        distributed.all_reduce(votes, op=distributed.ReduceOp.MAX, group=self.control)
        return tuple(bool(vote) for vote in votes)

    def together(self, work: Callable[[], T]) -> T:
        """Do ``work`` on every rank; the first rank's error is raised on all of them."""
        result, error = _attempt(work)
        self.agree(error)
        return result[0]

    def agree(self, error: WinnowError | None) -> None:
        """Raise the first rank's error on all of them; nothing when none has one."""
        for other in self._everyones(error):
            if other is not None:
                raise other

    def from_first(self, work: Callable[[], T]) -> T:
        """Do ``work`` on rank 0 alone; its result, or its error, is every rank's."""
        answer = _attempt(work) if self.rank == 0 else ([], None)
        if self.control is not None:
            box: list[tuple[list[T], WinnowError | None]] = [answer]
            distributed.broadcast_object_list(box, src=0, group=self.control)
            answer = box[0]
        result, error = answer
        if error is not None:
            raise error
        return result[0]

    def _everyones(self, error: WinnowError | None) -> list[WinnowError | None]:
        if self.control is None:
            return [error]
        errors: list[WinnowError | None] = [None] * self.size
        distributed.all_gather_object(errors, error, group=self.control)
        return errors


def _attempt(work: Callable[[], T]) -> tuple[list[T], WinnowError | None]:
    try:
        return [work()], None
    except WinnowError as error:
        return [], error


@contextmanager
def joined_world(device_name: str) -> Iterator[World]:
    """Join the processes that torchrun started; leave them at the end of the block.

    After an error on GPUs this process ends, with exit code 1, as soon as Python does: taking
    NCCL's group down would first wait for what the other ranks never send.

    Raises:
        RequestError: when ``cuda`` is asked for and this process has no GPU of its own.
    """
    device = _device(device_name, int(os.environ.get("LOCAL_RANK", "0")))
    if "WORLD_SIZE" not in os.environ:
        yield World(rank=0, size=1, device=device, control=None)
        return
    _join(device)
    well = False
    try:
        yield World(
            rank=distributed.get_rank(),
            size=distributed.get_world_size(),
            device=device,
            control=distributed.new_group(backend="gloo", timeout=_PATIENCE),
        )
        well = True
    finally:
        if well or device.type == "cpu":
            distributed.destroy_process_group()
        else:
            atexit.register(_end_at_once)


def _end_at_once() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _join(device: torch.device) -> None:
    if device.type == "cuda":
        backend, own, patience = "nccl", device, _NCCL_PATIENCE
    else:
        backend, own, patience = "gloo", None, _PATIENCE
    distributed.init_process_group(
        backend,
        store=_store(),
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=patience,
        device_id=own,
    )


def _store() -> PrefixStore:
    """Where the processes find one another.

    torchrun keeps one store over its restarts, in which ranks find the addresses of those that
    died (pytorch issue 135712). On one machine the number of the restart tells them apart; over
    several it is not the same everywhere, and torchrun must be started with
    TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1.
    """
    shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    store = TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=not shared and os.environ["RANK"] == "0",
        timeout=_PATIENCE,
        multi_tenant=True,
    )
    alone = os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if alone else "0"
    return PrefixStore(f"restart-{restart}", store)


def _device(name: str, local_rank: int) -> torch.device:
    if name == "cpu":
        return torch.device("cpu")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if local_rank >= found:
        raise RequestError(
            f"device cuda: process {local_rank + 1} of this machine needs a GPU of its own, found "
            f"{found}; start {found or 'no'} processes, or set device: cpu"
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    torch.backends.cudnn.benchmark = True
    return device
