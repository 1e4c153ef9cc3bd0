"""What a run tells while it goes: lines of JSON to follow, and TensorBoard where it is wanted."""

from __future__ import annotations

import json
import math
import resource
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from facedata.errors import DivergenceError, RequestError
from facedata.storage import Storage
from training.run_state import OUTCOME

PROGRESS = "progress.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One line of ``progress.jsonl``, written every ``logging.every`` steps and at the last.

    ``loss`` is the mean since the line before, ``gradient_norm`` that of the backbone in the last
    step, before clipping, ``images_per_second`` over all ranks, ``memory_mb`` the most that rank 0
    has used: of its GPU, or of the machine's memory.
    """

    step: int
    steps: int
    epoch: float
    loss: float
    learning_rate: float
    gradient_norm: float
    images_per_second: float
    memory_mb: float
    eta_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step came to, scalars alike on all ranks: its loss, and the L2 norms, before any
    clipping, of the gradients of the backbone and of the class centres."""

    loss: torch.Tensor
    backbone_norm: torch.Tensor
    centres_norm: torch.Tensor


_WATCHED = ("the loss", "the norm of the backbone's gradient", "the norm of the centres' gradient")


class ProgressLog:
    """Appends to ``progress.jsonl`` in a run's folder; a resumed run goes on in the same file.

    TensorBoard forgets what an earlier start said of steps after ``first_step``.
    """

    def __init__(self, output: Path, *, first_step: int, tensorboard: bool) -> None:
        self._storage = Storage(output)
        self._writer = _tensorboard(output / "tensorboard", first_step + 1) if tensorboard else None

    def add(self, line: Progress) -> None:
        """Write a line."""
        self._storage.append(PROGRESS, (json.dumps(asdict(line)) + "\n").encode())
        if self._writer is not None:
            for name in ("loss", "learning_rate", "gradient_norm", "images_per_second",
                         "memory_mb", "epoch"):  # fmt: skip
                self._writer.add_scalar(name, getattr(line, name), line.step)
            self._writer.flush()

    def close(self) -> None:
        """Finish the TensorBoard file."""
        if self._writer is not None:
            self._writer.close()


class StepWatch:
    """Checks what every step came to, one step late, so that a GPU need not be waited for.

    A loss may be a number while its gradient is none: both are watched.
    """

    def __init__(self) -> None:
        self._waiting: tuple[torch.Tensor, torch.cuda.Event | None, int, float] | None = None
        self._sum, self._count = 0.0, 0
        self.gradient_norm = 0.0
        """L2 norm of the backbone's gradient in the last step that was looked at."""

    def add(self, result: StepResult, step: int, learning_rate: float) -> None:
        """Look at the step before, and keep this one for later.

        Raises:
            DivergenceError: when a number of the step before is not finite.
        """
        self.settle()
        numbers = (result.loss, result.backbone_norm, result.centres_norm)
        values = torch.stack([one.detach().float() for one in numbers])
        on_cpu = values.to("cpu", non_blocking=True)
        event = None
        if values.is_cuda:
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
        self._waiting = (on_cpu, event, step, learning_rate)

    def settle(self) -> None:
        """Look at the last step.

        Raises:
            DivergenceError: when a number of it is not finite.
        """
        if self._waiting is None:
            return
        values, event, step, learning_rate = self._waiting
        self._waiting = None
        if event is not None:
            event.synchronize()
        for name, value in zip(_WATCHED, values.tolist(), strict=True):
            if not math.isfinite(value):
                raise DivergenceError(
                    f"step {step}: {name} is {value} at learning rate {learning_rate:.3g}; copy "
                    "the training recipe to another name with a lower optimiser.learning_rate, a "
                    "longer schedule.warmup_epochs or a lower optimiser.clip_norm, and start that "
                    "with --from and this run's folder"
                )
        loss, self.gradient_norm, _ = values.tolist()
        self._sum += loss
        self._count += 1

    def mean_loss(self) -> float:
        """The mean of the losses since it was last asked for."""
        self.settle()
        mean = self._sum / max(1, self._count)
        self._sum, self._count = 0.0, 0
        return mean


class Pace:
    """Images per second, and the time that is left."""

    def __init__(self, step: int) -> None:
        self._start = self._last = time.monotonic()
        self._first_step = self._last_step = step

    def since_last(self, step: int, global_batch: int) -> float:
        """Images per second since this was last asked."""
        now = time.monotonic()
        rate = (step - self._last_step) * global_batch / max(now - self._last, 1e-9)
        self._last, self._last_step = now, step
        return rate

    def left(self, step: int, steps: int) -> float:
        """Seconds that the remaining steps take at the mean pace so far."""
        per_step = (time.monotonic() - self._start) / max(1, step - self._first_step)
        return per_step * (steps - step)


def memory_mb(device: torch.device) -> float:
    """The most memory used so far, in MB: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def write_outcome(
    output: Path, outcome: str, message: str, exit_code: int, *, passing: bool = True
) -> None:
    """Say in ``outcome.json`` how a run ended: ``done``, ``stopped`` or ``failed``.

    ``passing`` says whether starting again may end otherwise.
    """
    data = {"outcome": outcome, "message": message, "exit_code": exit_code, "passing": passing}
    Storage(output).write(OUTCOME, (json.dumps(data) + "\n").encode())


def _tensorboard(folder: Path, forget_from: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise RequestError(
            "logging.tensorboard: the package tensorboard is not installed; install it, or set the "
            "key to false"
        ) from error
    return SummaryWriter(str(folder), purge_step=forget_from)
