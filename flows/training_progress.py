"""How far training is: on the terminal, and inside a flow run as a progress artifact."""

from __future__ import annotations

import time
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from flows.launch import Follow, ProgressLine
from flows.progress import Reporter

_ARTIFACT_SECONDS = 5.0
_AFTER_FAILURE_SECONDS = 60.0

SERVER_FAULTS = (httpx.HTTPError, PrefectException, RuntimeError, ValueError)
"""What Prefect's client raises when its server fails: RuntimeError is "failed to reach API",
ValueError an answer that is none."""
_STAGE = "steps"


class TrainingProgress:
    """Tells a run's progress; the artifact is one that is updated, not one per line."""

    def __init__(self, reporter: Reporter, run: str) -> None:
        self._reporter = reporter
        self._run = run
        self._told = 0
        self._started = False
        self._artifact: UUID | None = None
        self._next_update = 0.0
        self._failing = False

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
        if FlowRunContext.get() is None or (now < self._next_update and not done):
            return
        try:
            self._send(100.0 * line["step"] / line["steps"], f"{self._run}: {describe(line)}")
        except SERVER_FAULTS as error:
            # As with events: the run's own files are the truth, this is only news of them.
            self._next_update = now + _AFTER_FAILURE_SECONDS
            if not self._failing:
                reason = " ".join(str(error).split())
                self._reporter.say(
                    f"progress was not sent to the Prefect server: {reason:.200}; training goes on"
                )
            self._failing = True
        else:
            self._next_update = now + _ARTIFACT_SECONDS
            self._failing = False

    def _send(self, percent: float, text: str) -> None:
        if self._artifact is None:
            made = create_progress_artifact(percent, artifact_key("training", self._run), text)
            self._artifact = cast(UUID, made)
        else:
            update_progress_artifact(self._artifact, percent, text)


def artifact_key(kind: str, name: str) -> str:
    """A key as Prefect allows it: lower-case letters of ASCII, digits and dashes."""
    fit = (mark if mark.isascii() and mark.isalnum() else "-" for mark in name.lower())
    return f"{kind}-{''.join(fit)}"


def describe(line: ProgressLine) -> str:
    """A line of progress in words."""
    return (
        f"step {line['step']} of {line['steps']}, epoch {line['epoch']:.2f}, "
        f"loss {line['loss']:.4f}, {line['images_per_second']:.0f} images/s, "
        f"{line['memory_mb']:.0f} MB, {line['eta_s'] / 60:.1f} min left"
    )
