"""Self-training: clean, train, clean again with the new model, until the ledger stops changing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prefect import flow

from facedata.errors import RequestError, WorkspaceError
from facedata.models import model_folder, read_current
from facedata.recipe import load_recipe, resolve_paths
from facedata.records import LedgerRow
from facedata.storage import Storage
from facedata.versions import LEDGER, read_manifest
from flows.build import build
from flows.job import Job, open_job
from flows.train import train
from flows.training_job import TrainingOptions, check_recipe

Answer = dict[str, Any]

_FEWEST = 2
"""Identities that a version needs to be trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTraining:
    """``recipe`` cleans, ``training``, a file that names evaluation sets, trains, at most
    ``rounds`` times.

    The ledger has stopped changing when at most the share ``tolerance`` of its images has another
    identity or outcome than before.
    """

    recipe: str
    workspace: str
    training: str
    rounds: int = 3
    tolerance: float = 0.001
    processes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a round is made of: ``clean`` releases a version and returns its summary, ``train``
    trains on a version and judges, ``change`` compares the ledgers of two versions."""

    clean: Callable[[], Answer]
    train: Callable[[str], Answer]
    change: Callable[[str, str], Answer]


@flow(name="selftrain", persist_result=False)
def self_train(asked: SelfTraining) -> Answer:
    """Clean and train in turns; a model cleans only when it was promoted.

    It begins with the data set's current model, or with the recipe's when none was promoted, so
    that the same call goes on after a kill.

    Raises:
        RequestError: a recipe, the models or the workspace are not usable.
        WorkError: cleaning or training failed.
    """
    job = open_self_training(asked)
    storage, name = job.storage(), job.recipe.name

    def clean() -> Answer:
        built = build(derived_recipe(asked, storage, name), asked.workspace)
        released: Answer = built["release"]
        return released

    def train_on(version: str) -> Answer:
        # The manifest has models as written, which may be a path that starts from the recipe.
        written = read_manifest(storage, version).recipe.get("models", job.recipe.models)
        models = job.resolved.models if written == job.recipe.models else written
        options = TrainingOptions(processes=asked.processes, detector=models)
        trained: Answer = train(version, asked.workspace, asked.training, options=options)
        return trained

    parts = Parts(
        clean=clean, train=train_on, change=lambda old, new: ledger_change(storage, old, new)
    )
    return {"name": name, **repeat(asked, parts)}


def open_self_training(asked: SelfTraining) -> Job:
    """Check the request, also for what would be refused only after hours of cleaning.

    Raises:
        RequestError: a recipe, the models, the workspace or the machine are not usable.
    """
    config = check_recipe(asked.training, asked.processes)
    if not config.evaluation.sets:
        raise RequestError(
            f"training recipe {asked.training}: names no evaluation.sets, so no model could be "
            "promoted and clean; give a file with sets of people who are not in the data"
        )
    if not Storage(asked.workspace).is_local:
        raise WorkspaceError(
            f"workspace {asked.workspace}: checkpoints and models need a folder on a disk; give "
            "self-training a local workspace"
        )
    return open_job(asked.recipe, asked.workspace)


def repeat(asked: SelfTraining, parts: Parts) -> Answer:
    """Clean, train and clean again until the ledger stops changing, or something ends it before.

    Returns:
        ``rounds``, why it ``stopped``, and the last ``version``.
    """
    cleaned = parts.clean()
    rounds: list[Answer] = []
    stopped = None
    while stopped is None:
        version = cleaned["version"]
        trained = parts.train(version)
        promotion = trained["promotion"]
        told = {
            "round": len(rounds) + 1,
            "version": version,
            "model": trained["model"],
            "promotion": promotion,
        }
        rounds.append(told)
        if not promotion["promoted"]:
            stopped = f"{trained['model']} was not promoted: {promotion['reason']}"
            break
        cleaned = parts.clean()
        change = parts.change(version, cleaned["version"])
        told |= {"cleaned": cleaned["version"], **change}
        stopped = _reason_to_stop(asked, len(rounds), change["share"], cleaned)
    return {"rounds": rounds, "stopped": stopped, "version": cleaned["version"]}


def _reason_to_stop(asked: SelfTraining, rounds: int, share: float, cleaned: Answer) -> str | None:
    """Why no further round follows one whose model was promoted and cleaned; None if one does."""
    if share <= asked.tolerance:
        return f"the ledger changed by {share:.2%}, not above {asked.tolerance:.2%}"
    if cleaned["identities"] < _FEWEST:
        return f"{cleaned['version']} has {cleaned['identities']} identities left"
    if rounds >= asked.rounds:
        return f"after {rounds} {'round' if rounds == 1 else 'rounds'}, as asked"
    return None


def ledger_change(storage: Storage, before: str, after: str) -> Answer:
    """How many images have another identity or outcome in one version than in another.

    An image that only one of them has counts as changed.
    """
    old, new = _fates(storage, before), _fates(storage, after)
    images = old.keys() | new.keys()
    changed = sum(old.get(image) != new.get(image) for image in images)
    return {"images": len(images), "changed": changed, "share": changed / max(1, len(images))}


def derived_recipe(asked: SelfTraining, storage: Storage, name: str) -> str:
    """The recipe with the data set's current model in place of its own; itself without one."""
    models = _models(storage, name)
    if models is None:
        return asked.recipe
    path = Path(asked.recipe)
    recipe = resolve_paths(load_recipe(path), path.resolve().parent)
    values = recipe.model_copy(update={"models": models}).model_dump(
        mode="json", exclude_none=True, exclude_defaults=True
    )
    own = f"self-training/{Path(models).name}.yaml"
    storage.write(own, yaml.safe_dump(values, sort_keys=False, allow_unicode=True).encode())
    return str(storage.local_path(own))


def self_training_lines(result: Answer) -> list[str]:
    """What happened in each round, and why it ended."""
    lines = []
    for told in result["rounds"]:
        word = "promoted" if told["promotion"]["promoted"] else "not promoted"
        lines.append(
            f"round {told['round']}: {told['model']}, trained on {told['version']}: {word} "
            f"({told['promotion']['reason']})"
        )
        if "cleaned" in told:
            lines.append(
                f"  cleaned again as {told['cleaned']}: {told['changed']} of {told['images']} "
                f"images changed ({told['share']:.2%})"
            )
    return [*lines, f"{result['name']}: stopped, {result['stopped']}; {result['version']} is last"]


def _models(storage: Storage, name: str) -> str | None:
    """The folder of the data set's current model; None when none was promoted."""
    current = read_current(storage, name)
    if current is None:
        return None
    return str(storage.local_path(model_folder(current.model)).absolute())


def _fates(storage: Storage, version: str) -> dict[tuple[str, ...], tuple[str | None, str]]:
    rows = storage.read_records(f"versions/{version}/{LEDGER}", LedgerRow)
    return {
        (row.image_id, row.source, row.source_uri, row.claimed_identity): (
            row.identity,
            row.outcome,
        )
        for row in rows
    }
