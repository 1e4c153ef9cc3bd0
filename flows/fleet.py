"""The processes of a training run: how many, where, and the torchrun command that starts them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cleaning.faces.config import usable_cores
from facedata.errors import RequestError

_PLACE = re.compile(r"(?:[^\s:\[\]]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})\Z")

MODULE = "training.run"
"""What torchrun starts."""

CHECKPOINT_SECONDS = 1800
"""How long ranks may take for a checkpoint when they are asked to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """``processes`` on each of ``nodes``; with more than one they meet at ``rendezvous``."""

    processes: int
    nodes: int = 1
    rendezvous: str | None = None

    def command(self, config: Path, run: str) -> list[str]:
        """The torchrun command; ``run`` is a name that all nodes of the run share."""
        where = ["--standalone"]
        if self.nodes > 1:
            where = ["--nnodes", str(self.nodes), "--rdzv-backend", "c10d"]
            where += ["--rdzv-endpoint", str(self.rendezvous), "--rdzv-id", run]
        return [
            sys.executable, "-m", "torch.distributed.run", *where,
            "--nproc-per-node", str(self.processes),
            "--shutdown-timeout", str(CHECKPOINT_SECONDS),
            "-m", MODULE, "--config", str(config),
        ]  # fmt: skip


def choose_fleet(device: str, processes: int | None, nodes: int, rendezvous: str | None) -> Fleet:
    """The processes asked for, else one for each GPU, else one for each core, at most two.

    Raises:
        RequestError: there are fewer GPUs than processes that need one, or nodes have nowhere to
            meet.
    """
    if nodes > 1 and not rendezvous:
        raise RequestError(
            f"{nodes} nodes need a place to meet; give --rendezvous HOST:PORT of one of them"
        )
    if rendezvous is not None and not _is_place(rendezvous):
        raise RequestError(
            f"--rendezvous {rendezvous}: give HOST:PORT of one of the nodes, such as host1:29500"
        )
    if device == "cuda":
        processes = _for_gpus(processes)
    return Fleet(processes=processes or min(2, usable_cores()), nodes=nodes, rendezvous=rendezvous)


def _is_place(text: str) -> bool:
    match = _PLACE.match(text)
    return match is not None and 0 < int(match[1]) < 1 << 16


def _for_gpus(processes: int | None) -> int:
    found = count_gpus()
    if not found:
        raise RequestError(
            "device cuda: no GPU found on this machine; set device: cpu in the training recipe, or "
            "look at nvidia-smi and CUDA_VISIBLE_DEVICES"
        )
    if processes is not None and processes > found:
        raise RequestError(
            f"device cuda: {processes} processes, but {found} GPU{'s' if found > 1 else ''} on "
            "this machine, and each needs one of its own; give --processes "
            f"{found} or fewer, or look at CUDA_VISIBLE_DEVICES"
        )
    return processes or found


def count_gpus() -> int:
    """GPUs of this machine that processes may use, by ``CUDA_VISIBLE_DEVICES`` and nvidia-smi.

    Containers may have GPUs and no nvidia-smi: there the driver's device files are counted.
    """
    found = _listed_gpus()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    named = [name.strip() for name in visible.split(",")]
    return min(found, sum(bool(name) and name != "-1" for name in named))


def _listed_gpus() -> int:
    try:
        done = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError:
        return len(list(Path("/dev").glob("nvidia[0-9]*")))
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines())
