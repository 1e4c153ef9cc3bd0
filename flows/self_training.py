"""Self-training: clean, train, clean again with the new model, until the ledger stops changing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prefect import flow

from facedata.models import model_folder, read_current
from facedata.recipe import load_recipe, resolve_paths
from facedata.records import LedgerRow
from facedata.storage import Storage
from facedata.versions import LEDGER
from flows.build import build
from flows.job import open_job
from flows.train import train
from flows.training_job import TrainingOptions, check_recipe

Answer = dict[str, Any]

_FEWEST = 2
"""Identities that a version needs to be trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTraining:
    """``recipe`` cleans, ``training`` trains (a name or a file), at most ``rounds`` times.

    The ledger has stopped changing when at most the share ``tolerance`` of its images has another
    identity or outcome than before.
    """

    recipe: str
    workspace: str
    training: str = "demo_cpu"
    rounds: int = 3
    tolerance: float = 0.001
    processes: int | None = None


@flow(name="selftrain", persist_result=False)
def self_train(asked: SelfTraining) -> Answer:
    """Clean and train in turns; a model cleans only when it was promoted.

    It begins with the data set's current model, or with the recipe's when none was promoted, so
    that the same call goes on after a kill.

    Raises:
        RequestError: a recipe, the models or the workspace are not usable.
        WorkError: cleaning or training failed.
    """
    job = open_job(asked.recipe, asked.workspace)
    storage, name = job.storage(), job.recipe.name
    check_recipe(asked.training)
    cleaned = _clean(asked, storage, name)
    rounds: list[Answer] = []
    stopped = f"after {asked.rounds} rounds, as asked"
    for number in range(1, asked.rounds + 1):
        trained = train(
            cleaned["version"],
            asked.workspace,
            asked.training,
            options=TrainingOptions(processes=asked.processes),
        )
        told = {
            "round": number,
            "version": cleaned["version"],
            "model": trained["model"],
            "promotion": trained["promotion"],
        }
        rounds.append(told)
        if not trained["promotion"]["promoted"]:
            stopped = f"{trained['model']} was not promoted: {trained['promotion']['reason']}"
            break
        before, cleaned = cleaned["version"], _clean(asked, storage, name)
        told |= {
            "cleaned": cleaned["version"],
            **ledger_change(storage, before, cleaned["version"]),
        }
        if told["share"] <= asked.tolerance:
            stopped = f"the ledger changed by {told['share']:.2%}, not above {asked.tolerance:.2%}"
            break
        if cleaned["identities"] < _FEWEST:
            stopped = f"{cleaned['version']} has {cleaned['identities']} identities left"
            break
    return {"name": name, "rounds": rounds, "stopped": stopped, "version": cleaned["version"]}


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
    current = read_current(storage, name)
    if current is None:
        return asked.recipe
    path = Path(asked.recipe)
    recipe = resolve_paths(load_recipe(path), path.resolve().parent)
    models = str(storage.local_path(model_folder(current.model)).absolute())
    values = recipe.model_copy(update={"models": models}).model_dump(
        mode="json", exclude_none=True, exclude_defaults=True
    )
    own = f"self-training/{current.model}.yaml"
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


def _clean(asked: SelfTraining, storage: Storage, name: str) -> Answer:
    built = build(derived_recipe(asked, storage, name), asked.workspace)
    released: Answer = built["release"]
    return released


def _fates(storage: Storage, version: str) -> dict[tuple[str, ...], tuple[str | None, str]]:
    rows = storage.read_records(f"versions/{version}/{LEDGER}", LedgerRow)
    return {
        (row.image_id, row.source, row.source_uri, row.claimed_identity): (
            row.identity,
            row.outcome,
        )
        for row in rows
    }
