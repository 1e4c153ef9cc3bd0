"""Progress of a long command: bars on a terminal, plain lines otherwise, always on stderr."""

from __future__ import annotations

import sys
import threading
from functools import partial
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Reporter:
    """Tells how far each stage is; safe to call from several threads."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._lock = threading.Lock()
        self._totals: dict[str, tuple[int, int]] = {}
        self._bars: dict[str, TaskID] = {}
        self._progress: Progress | None = None
        if self._console.is_terminal and not quiet:
            self._progress = Progress(
                TextColumn("{task.description:<10}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=self._console,
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets a silent reporter: only this one draws on the terminal."""
        return partial(Reporter, quiet=True), ()

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress:
            self._progress.stop()

    def start(self, stage: str, total: int) -> None:
        """A stage begins; ``total`` is what ``advance`` will add up to."""
        with self._lock:
            self._totals[stage] = (0, total)
            if self._progress:
                self._bars[stage] = self._progress.add_task(stage, total=total, note="")

    def advance(self, stage: str, amount: int = 1) -> None:
        """So much more of a stage is done; a plain line is printed at every tenth."""
        with self._lock:
            before, total = self._totals[stage]
            now = before + amount
            self._totals[stage] = (now, total)
            if self._progress:
                self._progress.update(self._bars[stage], completed=now)
            elif total and now * 10 // total > before * 10 // total:
                self._line(f"{stage}: {now}/{total}")

    @property
    def has_bars(self) -> bool:
        """Whether progress is drawn on a terminal; if not, lines say it."""
        return self._progress is not None

    def track(self, stage: str, done: int, total: int, note: str) -> None:
        """Set a stage whose total grows while it runs; only drawn, never a line."""
        if self._progress is None:
            return
        with self._lock:
            if stage not in self._bars:
                self._bars[stage] = self._progress.add_task(stage, total=total, note=note)
            self._progress.update(self._bars[stage], completed=done, total=total, note=note)

    def say(self, text: str) -> None:
        """One line of news."""
        with self._lock:
            self._line(text)

    def _line(self, text: str) -> None:
        if self._progress:
            self._progress.console.print(text, highlight=False, markup=False)
        elif not self._console.quiet:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
