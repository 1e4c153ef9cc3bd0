"""A trained model for others to use: its pack, and the card that says what it is."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from importlib.metadata import version as package_version
from typing import Any

import yaml

from cleaning.faces.pack import load_pack
from facedata.errors import IntegrityError, WorkspaceError
from facedata.models import CARD, ModelCard, model_folder, next_model, read_current
from facedata.storage import Storage
from facedata.versions import CROISSANT
from flows.evaluate import Evaluated
from flows.held_out import HeldOut
from flows.lineage import read_start, start_line
from flows.training_job import TrainingJob
from training.run_state import last_state, last_step, plain

README = "README.md"
_MODEL = "model.json"
_LIMITATIONS = (
    "Trained on the people of one data set: on others it may do better or worse, and differently "
    "for different groups of people; measure it on people like those it is used for.",
    "No similarity separates look-alikes such as twins from one person.",
    "Intervals treat pairs as independent; pairs that share faces or people are not, so the true "
    "intervals are wider.",
)


def export_model(job: TrainingJob) -> str:
    """Write the run's last backbone as a pack, once; returns the model's name.

    The name is noted in the run's folder before the pack is written, so that a run that was killed
    in between goes on with the same one.

    Raises:
        ModelError: the base pack has no usable detector.
        WorkError: the backbone cannot be exported faithfully.
    """
    name = _own_name(job)
    folder = job.home.local_path(model_folder(name))
    if (folder / "rec.onnx").exists():
        return name
    # torch comes with these, and only a training run needs it.
    from training.export import write_pack
    from training.restore import read_backbone
    from training.run import build_configured

    step = last_step(job.output)
    backbone = build_configured(job.config.model)
    with warnings.catch_warnings():
        # That one process reads it alone is meant so.
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        weights = read_backbone(job.output / "checkpoints" / f"step-{step:09d}")
    backbone.load_state_dict(weights)
    Storage(job.output).write(
        _MODEL, json.dumps({"model": name, "detector": job.base_name}).encode()
    )
    write_pack(backbone, load_pack(job.base).detector.network.path, folder)
    return name


def write_card(
    job: TrainingJob, model: str, evaluated: Sequence[Evaluated], held_out: Sequence[HeldOut]
) -> None:
    """Write ``model_card.json`` and ``README.md`` into the pack; the former last.

    The card says what the run did, which a request that comes later need not know. That of the
    current model stays as it was when it was promoted.
    """
    current = read_current(job.home, job.dataset)
    if current is not None and current.model == model:
        return
    folder = job.home.local_path(model_folder(model))
    checked = {one.name: one.as_json() for one in held_out}
    card = ModelCard(
        model=model,
        version=job.manifest.version,
        digest=job.manifest.digest,
        training=_trained(job),
        start=read_start(job.output),
        steps=last_step(job.output),
        detector=str(_noted(Storage(job.output)).get("detector", job.base_name)),
        files={
            path.name: _sha256(path.read_bytes())
            for path in sorted(folder.iterdir())
            if path.name not in {CARD, README}
        },
        evaluation=tuple(
            {**one.as_json(), "held_out": checked[one.report.name]} for one in evaluated
        ),
        licences=_licences(job),
        limitations=(*_LIMITATIONS, *_unmeasured(evaluated)),
        code_version=package_version("winnow-faces"),
    )
    path = model_folder(model)
    job.home.write(f"{path}/{README}", _readme(card, evaluated, held_out).encode())
    job.home.write(f"{path}/{CARD}", card.to_json())


def _trained(job: TrainingJob) -> dict[str, Any]:
    """The configuration of the run's last step, evaluated as it is asked for now."""
    state, asked = last_state(job.output), plain(job.config)
    return asked if state is None else {**state.config, "evaluation": asked["evaluation"]}


def _own_name(job: TrainingJob) -> str:
    """The model's name: as noted in the run, else the next one, taken by making its folder."""
    run = Storage(job.output)
    noted = _noted(run)
    if "model" in noted:
        return str(noted["model"])
    while True:
        name = next_model(job.home, job.dataset)
        try:
            job.home.local_path(model_folder(name)).mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise WorkspaceError(
                f"{job.home.root}/models: cannot be written ({error.strerror}); choose a folder "
                "you may write to"
            ) from error
        run.write(_MODEL, json.dumps({"model": name}).encode())
        return name


def _noted(run: Storage) -> dict[str, Any]:
    """The model that a run has made or is making: its name, and the pack of its detector."""
    if not run.exists(_MODEL):
        return {}
    try:
        return dict(json.loads(run.read(_MODEL)))
    except (ValueError, TypeError) as error:
        raise IntegrityError(
            f"{run.url(_MODEL)}: damaged ({error}); remove it, and the run exports a new model"
        ) from error


def _licences(job: TrainingJob) -> tuple[str, ...]:
    """Licences of the photos, from the version's data card."""
    released = Storage(job.config.data.workspace)
    path = f"versions/{job.manifest.version}/{CROISSANT}"
    if not released.exists(path):
        return ()
    try:
        found = json.loads(released.read(path)).get("license", [])
    except ValueError as error:
        raise IntegrityError(f"{released.url(path)}: damaged ({error})") from error
    return (found,) if isinstance(found, str) else tuple(map(str, found))


def _unmeasured(evaluated: Sequence[Evaluated]) -> list[str]:
    if evaluated:
        return []
    return ["Not evaluated: the training recipe names no evaluation set."]


def _readme(card: ModelCard, evaluated: Sequence[Evaluated], held_out: Sequence[HeldOut]) -> str:
    """The card for people, as Markdown."""
    findings = [line for one in held_out for line in one.lines()]
    parts = [
        f"# {card.model}",
        "A face detector and a recogniser of aligned 112×112 faces, as an insightface model pack: "
        "`FaceAnalysis` opens it, and `models:` of a Winnow recipe takes its folder.",
        "## Lineage",
        _bullets(
            f"Trained on `{card.version}`, digest `{card.digest}`",
            f"{card.steps} steps of the training recipe `{card.training['name']}`",
            start_line(card.start),
            f"Detector of the pack `{card.detector}`",
            f"Winnow {card.code_version}",
            *(f"`{name}` sha256 `{digest}`" for name, digest in card.files.items()),
        ),
        "## Evaluation",
        *(_bullets(*one.lines()) for one in evaluated),
        "Intervals are 95 % (Clopper-Pearson)." if evaluated else "None.",
        *([_bullets(*findings)] if findings else []),
        "## Licences of the photos",
        _bullets(*card.licences) if card.licences else "The version's data card names none.",
        "## Limitations",
        _bullets(*card.limitations),
        "## Training configuration",
        f"```yaml\n{yaml.safe_dump(card.training, sort_keys=False)}```",
    ]
    return "\n\n".join(parts) + "\n"


def _bullets(*lines: str) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
