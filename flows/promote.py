"""Which model is current: a new one takes the place when it is better on the declared sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from facedata.models import CurrentModel, write_current
from facedata.storage import Storage
from flows.clock import utc_now
from flows.evaluate import Evaluated
from flows.events import emit_model_promoted
from flows.held_out import HeldOut

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


def promote(home: Storage, dataset: str, verdict: Verdict, version: tuple[str, str]) -> None:
    """Make a model the current one; ``version`` is that which it was trained on, and its digest."""
    write_current(
        home,
        dataset,
        CurrentModel(
            model=verdict.model,
            version=version[0],
            digest=version[1],
            false_accept_rate=verdict.false_accept_rate,
            tar=verdict.tar,
            promoted_at=utc_now(),
        ),
    )


def announce(home: Storage, dataset: str, current: CurrentModel) -> None:
    """Emit the promotion's event once; a run that was killed before it is made up for later."""
    marker = f"events/{current.model}.json"
    if home.exists(marker):
        return
    metrics = {"false_accept_rate": current.false_accept_rate, "tar": current.tar}
    if emit_model_promoted(dataset, current.model, current.version, metrics):
        home.write(marker, b"{}")


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
