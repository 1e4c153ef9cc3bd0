"""Which model is current: a new one takes the place when it is better on the declared sets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from facedata.errors import ModelError
from facedata.lock import hold_models
from facedata.models import CurrentModel, model_folder, read_current, write_current
from facedata.storage import Storage
from flows.clock import utc_now
from flows.evaluate import Evaluated, evaluate_sets
from flows.evaluation_set import Sight
from flows.events import emit_model_promoted
from flows.held_out import HeldOut
from flows.training_job import TrainingJob

_POINTLESS = "no evaluation set: the training recipe names none under evaluation.sets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a model is promoted, and why; ``tar`` and ``tar_before`` by set that counted."""

    promoted: bool
    reason: str
    model: str
    before: str
    false_accept_rate: float
    tar: dict[str, float]
    tar_before: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A new model and the one to beat, each measured on the same sets in the same order."""

    model: str
    before: str
    false_accept_rate: float
    evaluated: Sequence[Evaluated]
    evaluated_before: Sequence[Evaluated]
    held_out: Sequence[HeldOut]


def judge(contest: Contest) -> Verdict:
    """Promote the model whose mean TAR, over the sets that count, is higher.

    A set counts when no person of it is named in the training version, and when it has pairs enough
    to measure the false accept rate. A tie promotes nothing.
    """
    far = contest.false_accept_rate
    tar, tar_before = {}, {}
    left_out = []
    rows = zip(contest.evaluated, contest.evaluated_before, contest.held_out, strict=True)
    for new, old, held in rows:
        point, point_before = new.point(far), old.point(far)
        if not held.separate:
            left_out.append(f"{held.name} holds people of the training version")
        elif point is None or point_before is None:
            left_out.append(f"{held.name} has too few different pairs to measure FAR {far:g}")
        else:
            tar[held.name], tar_before[held.name] = point.tar, point_before.tar
    promoted, reason = _decide(contest, tar, tar_before)
    return Verdict(
        promoted=promoted,
        reason="; ".join([reason, *left_out]),
        model=contest.model,
        before=contest.before,
        false_accept_rate=far,
        tar=tar,
        tar_before=tar_before,
    )


def settle(
    job: TrainingJob, model: str, evaluated: Sequence[Evaluated], held_out: Sequence[HeldOut]
) -> Verdict:
    """Compare a run's model with the current one, promote it when it is better, and tell it.

    Measuring takes long and keeps nobody out. When another version's run has promoted a model
    meanwhile, the new one is compared with that.

    Raises:
        ModelError: the current model is not there.
    """
    far = job.config.evaluation.false_accept_rate
    while True:
        current = read_current(job.home, job.dataset)
        if current is not None:
            announce(job.home, job.dataset, current)
            if current.model == model:
                return _standing(current, far)
        before, folder = _to_beat(job, current)
        contest = Contest(
            model=model,
            before=before,
            false_accept_rate=far,
            evaluated=evaluated,
            evaluated_before=evaluate_sets(Sight(folder, job.home), job.sets, far),
            held_out=held_out,
        )
        verdict = judge(contest)
        version = (job.manifest.version, job.manifest.digest)
        if not verdict.promoted or promote(job.home, job.dataset, verdict, version, current):
            return verdict


def promote(
    home: Storage,
    dataset: str,
    verdict: Verdict,
    version: tuple[str, str],
    current: CurrentModel | None,
) -> bool:
    """Make a model the current one and tell it, unless ``current`` is so no more.

    ``version`` is that which the model was trained on, and its digest.
    """
    promoted = CurrentModel(
        model=verdict.model,
        version=version[0],
        digest=version[1],
        false_accept_rate=verdict.false_accept_rate,
        tar=verdict.tar,
        promoted_at=utc_now(),
    )
    with hold_models(home, dataset):
        if read_current(home, dataset) != current:
            return False
        write_current(home, dataset, promoted)
    announce(home, dataset, promoted)
    return True


def announce(home: Storage, dataset: str, current: CurrentModel) -> None:
    """Emit a promotion's event once; one that no server had yet is made up for here."""
    marker = f"events/{current.model}.json"
    told = json.dumps({"promoted_at": current.promoted_at}).encode()
    with hold_models(home, dataset):
        if home.exists(marker) and home.read(marker) == told:
            return
        metrics = {"false_accept_rate": current.false_accept_rate, "tar": current.tar}
        if emit_model_promoted(dataset, current.model, current.version, metrics):
            home.write(marker, told)


def _standing(current: CurrentModel, far: float) -> Verdict:
    return Verdict(
        promoted=True, reason="it is the current model", model=current.model,
        before=current.model, false_accept_rate=far, tar=current.tar, tar_before=current.tar,
    )  # fmt: skip


def _to_beat(job: TrainingJob, current: CurrentModel | None) -> tuple[str, Path]:
    if current is None:
        return job.base_name, job.base
    folder = job.home.local_path(model_folder(current.model))
    if not folder.is_dir():
        raise ModelError(
            f"models/{job.dataset}.json names {current.model}, which is not there; put it back, "
            f"or remove the file to compare with {job.base_name}"
        )
    return current.model, folder


def _decide(
    contest: Contest, tar: dict[str, float], tar_before: dict[str, float]
) -> tuple[bool, str]:
    if not contest.evaluated:
        return False, _POINTLESS
    if not tar:
        return False, "no evaluation set counts"
    new, old = fmean(tar.values()), fmean(tar_before.values())
    said = (
        f"mean TAR@FAR {contest.false_accept_rate:g} over {len(tar)} "
        f"{'set' if len(tar) == 1 else 'sets'} is {new:.4%}, that of {contest.before} {old:.4%}"
    )
    return new > old, said
