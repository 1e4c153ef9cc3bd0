"""The training loop: one step after another, on all ranks alike, until done or told to stop."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch

from facedata.errors import WinnowError
from training.checkpoint import prune, save
from training.config import TrainingConfig
from training.data.decode import network_input
from training.data.loader import AnyBatch, Batch, Share, batches, next_on_device
from training.data.mixing import key_of
from training.log import Pace, Progress, ProgressLog, StepResult, StepWatch, memory_mb
from training.optimise import clip_gradient, learning_rate, set_learning_rate
from training.prepare import BuildBackbone, Prepared, StoppedEarlyError, prepare
from training.run_state import RunState, plain
from training.world import World


class StopRequest:
    """Set by SIGTERM or SIGINT: the run ends after the step it is in."""

    def __init__(self) -> None:
        self.made = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals over for the block."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = [signal.signal(number, self._make) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _make(self, _number: int, _frame: FrameType | None) -> None:
        self.made = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended: after ``step`` of ``steps``, with ``checkpoint`` as its last."""

    step: int
    steps: int
    checkpoint: Path | None

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.step >= self.steps


def train(config: TrainingConfig, world: World, build: BuildBackbone) -> Ended:
    """Train as configured, from the run's last checkpoint on if there is one.

    All ranks call it together; what one of them cannot do is raised on all.

    Raises:
        RequestError: when the request cannot be carried out.
        WorkError: when a loss or a gradient is not finite, a shard or a checkpoint fails;
            checkpoints that were written before stay good.
    """
    stop = StopRequest()
    with stop.listening():
        try:
            prepared = prepare(config, world, build, lambda: stop.made)
        except StoppedEarlyError as cut:
            return Ended(step=cut.step, steps=cut.steps, checkpoint=None)
        return _Run(config, world, prepared).to_the_end(stop)


def filled_up(
    embeddings: torch.Tensor, labels: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bring embeddings (b, d) and labels (b,) to as many rows as the rank with most has.

    What is added is a copy of the last row, under label -1: losses leave it out, and because it
    comes after the backbone, no batch statistic has seen it.
    """
    missing = rows - len(labels)
    if not missing:
        return embeddings, labels
    copies = embeddings[-1:].detach().expand(missing, -1)
    return torch.cat([embeddings, copies]), torch.cat([labels, labels.new_full((missing,), -1)])


class _Run:
    """One rank's side of a run."""

    def __init__(self, config: TrainingConfig, world: World, prepared: Prepared) -> None:
        self._config = config
        self._world = world
        self._prepared = prepared
        self._output = Path(config.output)
        self._steps = prepared.schedule.steps
        self._saved = prepared.first_step
        self._checkpoint: Path | None = None
        self._watch = StepWatch()
        self._pace = Pace(prepared.first_step)
        self._log = world.together(self._open_log)

    def to_the_end(self, stop: StopRequest) -> Ended:
        """Take the remaining steps, or those until a stop is requested on any rank."""
        arriving = self._batches()
        try:
            for step in range(self._prepared.first_step, self._steps):
                batch, error = next_on_device(arriving, self._world.device)
                stopping, failing = self._world.any_of(stop.made, error is not None)
                if stopping or failing:
                    self._save(step)
                    self._raise_everywhere(error)
                    return Ended(step=step, steps=self._steps, checkpoint=self._checkpoint)
                if batch is not None:
                    self._take(step, batch)
        finally:
            arriving.close()
            self._prepared.dataset.store.close()
            if self._log is not None:
                self._log.close()
        self._save(self._steps)
        return Ended(step=self._steps, steps=self._steps, checkpoint=self._checkpoint)

    def _take(self, step: int, batch: Batch) -> None:
        """One step, and what is due after it."""
        rate = learning_rate(step, self._prepared.schedule)
        self._watch.add(self._step(step, batch, rate), step, rate)
        done = step + 1
        if done % self._config.logging.every == 0 or done == self._steps:
            self._report(done, rate)
        if done % self._config.checkpoint.every == 0:
            self._save(done)

    def _step(self, step: int, batch: Batch, rate: float) -> StepResult:
        """Train on a batch."""
        device, learned = self._world.device, self._prepared.learned
        # Chance is a function of seed, step and rank, so that a resumed run draws the same.
        torch.manual_seed(key_of(self._config.seed, step, self._world.rank))
        images = network_input(batch.images)
        half = self._config.precision == "bfloat16"
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            embeddings = self._prepared.network(images)
            most = -(-self._config.global_batch // self._world.size)
            loss = self._prepared.loss(*filled_up(embeddings, batch.labels, most))
        learned.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        result = StepResult(
            loss=loss,
            backbone_norm=clip_gradient(
                learned.backbone.parameters(), self._config.optimiser.clip_norm
            ),
            centres_norm=self._prepared.loss.gradient_norm(),
        )
        set_learning_rate(learned.optimiser, rate)
        learned.optimiser.step()
        self._prepared.loss.step(rate)
        return result

    def _report(self, done: int, rate: float) -> None:
        loss = self._watch.mean_loss()
        if self._log is None:
            return
        self._log.add(
            Progress(
                step=done,
                steps=self._steps,
                epoch=done * self._config.global_batch / self._prepared.dataset.order.samples,
                loss=loss,
                learning_rate=rate,
                gradient_norm=self._watch.gradient_norm,
                images_per_second=self._pace.since_last(done, self._config.global_batch),
                memory_mb=memory_mb(self._world.device),
                eta_s=self._pace.left(done, self._steps),
            )
        )

    def _save(self, done: int) -> None:
        """Write a checkpoint, unless there is one of this step; never one after a bad step."""
        self._watch.settle()
        if done == self._saved:
            return
        described = self._prepared.training_set
        state = RunState(
            step=done,
            version=described.version,
            digest=described.digest,
            classes=described.classes,
            world_size=self._world.size,
            config=plain(self._config),
        )
        self._checkpoint = save(self._output, state, self._prepared.learned, self._world)
        self._saved = done
        self._world.from_first(lambda: prune(self._output, self._config.checkpoint.keep))

    def _batches(self) -> Generator[AnyBatch, None, None]:
        first = self._prepared.first_step
        return batches(
            self._prepared.dataset,
            self._prepared.loader,
            Share(
                global_batch=self._config.global_batch,
                rank=self._world.rank,
                world_size=self._world.size,
            ),
            position=first * self._config.global_batch,
            steps=self._steps - first,
        )

    def _open_log(self) -> ProgressLog | None:
        if self._world.rank > 0:
            return None
        first = self._prepared.first_step
        return ProgressLog(
            self._output, first_step=first, tensorboard=self._config.logging.tensorboard
        )

    def _raise_everywhere(self, error: WinnowError | None) -> None:
        def fail() -> None:
            if error is not None:
                raise error

        self._world.together(fail)
