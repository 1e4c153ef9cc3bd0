"""Versions whose training nobody finished: the machine went down, or no event was heard."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from facedata.errors import WorkError
from facedata.lock import who_trains
from facedata.storage import Storage
from facedata.versions import list_versions
from flows.ending import read_outcome
from flows.training_job import TrainingOptions, open_home, run_folder

_SETTLED = "settled.json"
"""In a run's folder, written last: its model is exported, evaluated and settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """What there is to do: train ``version``, or nothing, for the ``reason`` given."""

    version: str | None
    reason: str


def find_unfinished(
    workspace: str, recipe: str, options: TrainingOptions, dataset: str | None
) -> CatchUp:
    """The newest version of a data set, or of any, whose training by a recipe is not finished.

    That is a data set's newest version, or an earlier one whose training was begun: those before
    that were never trained stay so. A run that ended in a way that starting again does not mend
    waits for a person.

    Raises:
        WorkspaceError: runs cannot be below the workspace.
    """
    released = Storage(workspace)
    home = open_home(released, options.output)
    owner = who_trains(home)
    if owner is not None:
        return CatchUp(version=None, reason=f"process {owner} trains in {home.root}")
    versions = list_versions(released, dataset)
    newest = {_dataset(version): version for version in versions}
    for version in reversed(versions):
        run = run_folder(home, version, recipe)
        wanted = version == newest[_dataset(version)] or run.exists()
        if wanted and not (_is_settled(run) or _is_hopeless(run)):
            return CatchUp(version=version, reason=f"{version} is not trained")
    return CatchUp(version=None, reason="every version is trained")


def mark_settled(run: Storage, model: str) -> None:
    """Note that nothing is left to do for a run."""
    run.write(_SETTLED, json.dumps({"model": model}).encode())


def _is_settled(run: Path) -> bool:
    return (run / _SETTLED).exists()


def _is_hopeless(run: Path) -> bool:
    ended = read_outcome(run)
    return ended is not None and not ended.passing and ended.exit_code == WorkError.exit_code


def _dataset(version: str) -> str:
    return version.rsplit("-v", 1)[0]
