"""The ``train`` flow: a released version becomes a model pack, judged and perhaps promoted.

Train, export, evaluate, write the card, promote. Each of these finds what an earlier start of the
same run completed, so a run that was killed anywhere is simply started again and never makes a
second model.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from facedata.lock import hold_training
from facedata.models import model_folder
from facedata.storage import Storage
from flows.catch_up import find_unfinished, mark_settled
from flows.evaluate import Evaluated, evaluate_sets
from flows.evaluation_set import Sight
from flows.held_out import HeldOut, check_held_out, version_faces
from flows.launch import CONFIG, Launch, run_training
from flows.lineage import note_start
from flows.model_card import README, export_model, write_card
from flows.progress import Reporter
from flows.promote import settle
from flows.training_job import TrainingJob, TrainingOptions, check_event, open_training
from flows.training_progress import SERVER_FAULTS, TrainingProgress
from training.config import to_yaml
from training.run_state import last_step

Answer = dict[str, Any]


@flow(name="train", persist_result=False)
def train(
    version: str | None,
    workspace: str,
    recipe: str = "demo_cpu",
    manifest: str | None = None,
    options: TrainingOptions = TrainingOptions(),  # noqa: B008 - frozen
    dataset: str | None = None,
) -> Answer:
    """Train on a released version, export, evaluate and perhaps promote the model.

    Versions are trained one after the other: a run waits for its turn.

    Args:
        version: for example ``people-v0003``. None is the newest whose training is not finished;
            then nothing is done when there is none, or while another one is trained.
        workspace: folder or fsspec URL that holds it.
        recipe: a training recipe by name, or its file.
        manifest: where the event that started this says the version is.
        options: output, detector, machines.
        dataset: without a version, look among those of this data set only.

    Raises:
        RequestError: the request is not usable, or another process trains this version.
        WorkError: training, export or evaluation failed; the same call goes on.
    """
    with Reporter() as reporter:
        if version is None:
            found = find_unfinished(workspace, recipe, options, dataset)
            reporter.say(f"train: {found.reason}")
            if found.version is None:
                return {"version": None, "reason": found.reason}
            version = found.version
        if manifest is not None:
            check_event(version, workspace, manifest)
        job = open_training(version, workspace, recipe, options)
        if job.join:
            return _join(job, reporter)
        with hold_training(job.home, job.output.name, reporter.say):
            # Opened again: an earlier version may have been trained while this waited.
            return _run(open_training(version, workspace, recipe, options), reporter)


def _join(job: TrainingJob, reporter: Reporter) -> Answer:
    """Train only, as a further node."""
    _train(job, reporter)
    return {**_headline(job), "joined": True}


def _run(job: TrainingJob, reporter: Reporter) -> Answer:
    """Do what a checked request asks for."""
    _train(job, reporter)
    model = export_model(job)
    reporter.say(f"exported as {model}; evaluating on {len(job.sets)} sets")
    evaluated, held_out = _evaluate(job, model)
    write_card(job, model, evaluated, held_out)
    verdict = settle(job, model, evaluated, held_out)
    mark_settled(Storage(job.output), model)
    _show(job, model, reporter)
    return {
        **_headline(job),
        "steps": last_step(job.output),
        "model": model,
        "folder": str(job.home.local_path(model_folder(model))),
        "evaluation": [one.as_json() for one in evaluated],
        "held_out": [one.as_json() for one in held_out],
        "promotion": verdict.as_json(),
        "lines": [
            *(line for one in evaluated for line in one.lines()),
            *(line for one in held_out for line in one.lines()),
        ],
    }


def plan(job: TrainingJob) -> Answer:
    """What a run would do."""
    return {
        **_headline(job),
        "steps_done": last_step(job.output),
        "command": job.fleet.command(job.output / CONFIG, job.output.name),
        "detector": str(job.base),
        "evaluation_sets": [str(one.path) for one in job.sets],
        "initial": job.config.checkpoint.initial,
        "weights": job.config.model.weights,
        "config": to_yaml(job.config),
    }


def _headline(job: TrainingJob) -> Answer:
    return {
        "version": job.manifest.version,
        "digest": job.manifest.digest,
        "recipe": job.config.name,
        "output": str(job.output),
        "processes": job.fleet.processes,
        "nodes": job.fleet.nodes,
    }


def _train(job: TrainingJob, reporter: Reporter) -> None:
    # Every node writes the same files, so that none waits for another to do it.
    note_start(job.config)
    Storage(job.output).write(CONFIG, to_yaml(job.config).encode())
    progress = TrainingProgress(reporter, job.output.name)
    run_training(Launch(output=job.output, fleet=job.fleet), progress.follow)


def _evaluate(job: TrainingJob, model: str) -> tuple[list[Evaluated], list[HeldOut]]:
    """Measure the new model, and look for people of the sets in the version."""
    if not job.sets:
        return [], []
    folder = job.home.local_path(model_folder(model))
    far = job.config.evaluation.false_accept_rate
    evaluated = evaluate_sets(Sight(folder, job.home), job.sets, far)
    base = Sight(job.base, job.home)
    faces = version_faces(Storage(job.config.data.workspace), job.manifest, base)
    held_out = [check_held_out(base.look(one), faces, job.manifest) for one in job.sets]
    return evaluated, held_out


def _show(job: TrainingJob, model: str, reporter: Reporter) -> None:
    """The card as an artifact of the flow run."""
    if FlowRunContext.get() is None:
        return
    text = job.home.read(f"{model_folder(model)}/{README}").decode()
    try:
        create_markdown_artifact(text, key=f"model-{model}", description=f"Card of {model}")
    except SERVER_FAULTS as error:
        reporter.say(f"the card of {model} was not sent to the Prefect server: {error}")
