"""Trained models: their names, their cards, and which one of a data set is current.

A model is a folder ``models/<dataset>-m<0001…>/``, an insightface pack with its card. It exists
once ``model_card.json`` is there, which is written last. ``models/<dataset>.json`` names the
current one: the last that was promoted.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from facedata.errors import IntegrityError
from facedata.storage import Storage

CARD = "model_card.json"
WEIGHTS = "rec.pt"
"""A pack's recogniser, for training to go on from; packs from elsewhere have none."""

_NAME = re.compile(r"^(?P<dataset>[a-z0-9][a-z0-9-]{0,63})-m(?P<number>\d{4,})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a model is and where it comes from, as JSON values.

    ``digest`` is that of the version it was trained on, ``training`` the whole configuration of its
    last step, ``start`` what it began with: ``weights`` and their ``sha256``, or ``run`` with
    ``version``, ``digest`` and ``steps``, or nothing; None is not known. ``detector`` is the pack
    whose detector it has, ``files`` the sha256 in hex of the pack's files, ``evaluation`` one
    report for each set. ``licences`` are those of the photos, as the version's data card gives
    them.
    """

    model: str
    version: str
    digest: str
    training: dict[str, Any]
    start: dict[str, Any] | None
    steps: int
    detector: str
    files: dict[str, str]
    evaluation: tuple[dict[str, Any], ...]
    licences: tuple[str, ...]
    limitations: tuple[str, ...]
    code_version: str

    def to_json(self) -> bytes:
        """The card's file: the same card gives the same bytes."""
        text = json.dumps(asdict(self), sort_keys=True, indent=1, ensure_ascii=False)
        return f"{text}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentModel:
    """The promoted model of a data set: ``tar`` by set at ``false_accept_rate`` when it was."""

    model: str
    version: str
    digest: str
    false_accept_rate: float
    tar: dict[str, float]
    promoted_at: str


def model_folder(model: str) -> str:
    """Path of a model below the storage that holds ``models/``."""
    return f"models/{model}"


def next_model(storage: Storage, dataset: str) -> str:
    """The name that a data set's next model gets: folders of unfinished ones count as taken."""
    numbers = [
        int(match["number"])
        for name in storage.names("models")
        if (match := _NAME.match(name)) and match["dataset"] == dataset
    ]
    return f"{dataset}-m{max(numbers, default=0) + 1:04d}"


def read_current(storage: Storage, dataset: str) -> CurrentModel | None:
    """The promoted model of a data set, or None.

    Raises:
        IntegrityError: when the file that names it is damaged.
    """
    path = _pointer(dataset)
    if not storage.exists(path):
        return None
    try:
        return CurrentModel(**json.loads(storage.read(path)))
    except (ValueError, TypeError) as error:
        raise IntegrityError(
            f"{storage.url(path)}: does not name a model ({error}); remove it to start from the "
            "pack that the version was built with"
        ) from error


def write_current(storage: Storage, dataset: str, current: CurrentModel) -> None:
    """Make a model the current one, whole or not at all."""
    text = json.dumps(asdict(current), sort_keys=True, indent=1) + "\n"
    storage.write(_pointer(dataset), text.encode())


def _pointer(dataset: str) -> str:
    return f"models/{dataset}.json"
