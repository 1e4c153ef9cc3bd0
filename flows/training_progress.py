"""How far training is: on the terminal, and inside a flow run as a progress artifact."""

from __future__ import annotations

import time
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext

from flows.launch import Follow, ProgressLine
from flows.progress import Reporter

_ARTIFACT_SECONDS = 5.0
_STAGE = "steps"


class TrainingProgress:
    """Tells a run's progress; the artifact is one that is updated, not one per line."""

    def __init__(self, reporter: Reporter, run: str) -> None:
        self._reporter = reporter
        self._run = run
        self._told = 0
        self._started = False
        self._artifact: UUID | None = None
        self._updated = 0.0

    @property
    def follow(self) -> Follow:
        """For ``flows.launch``."""
        return Follow(progress=self.add, say=self._reporter.say)

    def add(self, line: ProgressLine) -> None:
        """Take in a line; steps that are done again after a restart are told once."""
        step, steps = int(line["step"]), int(line["steps"])
        if not self._started:
            self._reporter.start(_STAGE, steps)
            self._started = True
        if step > self._told:
            self._reporter.advance(_STAGE, step - self._told)
            if step * 10 // steps > self._told * 10 // steps:
                self._reporter.say(describe(line))
            self._told = step
        self._update_artifact(line, done=step >= steps)

    def _update_artifact(self, line: ProgressLine, *, done: bool) -> None:
        now = time.monotonic()
        if FlowRunContext.get() is None or (now - self._updated < _ARTIFACT_SECONDS and not done):
            return
        self._updated = now
        try:
            self._send(100.0 * line["step"] / line["steps"], f"{self._run}: {describe(line)}")
        except (httpx.HTTPError, RuntimeError) as error:
            # As with events: the run's own files are the truth, this is only news of them.
            # RuntimeError is the client's "failed to reach API".
            self._reporter.say(f"progress was not sent to the Prefect server: {error}")

    def _send(self, percent: float, text: str) -> None:
        if self._artifact is None:
            key = "".join(mark if mark.isalnum() else "-" for mark in self._run.lower())
            made = create_progress_artifact(percent, f"training-{key}", text)
            self._artifact = cast(UUID, made)
        else:
            update_progress_artifact(self._artifact, percent, text)


def describe(line: ProgressLine) -> str:
    """A line of progress in words."""
    return (
        f"step {line['step']} of {line['steps']}, epoch {line['epoch']:.2f}, "
        f"loss {line['loss']:.4f}, {line['images_per_second']:.0f} images/s, "
        f"{line['memory_mb']:.0f} MB, {line['eta_s'] / 60:.1f} min left"
    )
