"""The processes of a training run: how many, where, and the torchrun command that starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cleaning.faces.config import usable_cores
from facedata.errors import RequestError

MODULE = "training.run"
"""What torchrun starts."""

_CHECKPOINT_SECONDS = 1800


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
            # How long a checkpoint may take when the run is asked to stop.
            "--shutdown-timeout", str(_CHECKPOINT_SECONDS),
            "-m", MODULE, "--config", str(config),
        ]  # fmt: skip


def choose_fleet(device: str, processes: int | None, nodes: int, rendezvous: str | None) -> Fleet:
    """The processes asked for, else one for each GPU, else one for each core, at most two.

    Raises:
        RequestError: a GPU is asked for and there is none, or nodes have nowhere to meet.
    """
    if nodes > 1 and not rendezvous:
        raise RequestError(
            f"{nodes} nodes need a place to meet; give --rendezvous HOST:PORT of one of them"
        )
    if processes is None and device == "cuda":
        processes = count_gpus()
        if not processes:
            raise RequestError(
                "device cuda: no GPU found on this machine; set device: cpu in the training "
                "recipe, or look at nvidia-smi and CUDA_VISIBLE_DEVICES"
            )
    return Fleet(processes=processes or min(2, usable_cores()), nodes=nodes, rendezvous=rendezvous)


def count_gpus() -> int:
    """GPUs of this machine that processes may use, by ``CUDA_VISIBLE_DEVICES`` and nvidia-smi."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = sum(line.startswith("GPU ") for line in done.stdout.splitlines())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    named = [name.strip() for name in visible.split(",")]
    return min(found, sum(bool(name) and name != "-1" for name in named))
