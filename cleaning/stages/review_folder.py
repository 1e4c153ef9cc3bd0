"""A data set's review in the workspace: ``review/<dataset>/``, its logs and its batches."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from cleaning.review.items import Batch, PersonAnswer
from cleaning.stages.batch_index import BatchIndex, index_of
from cleaning.stages.review_log import ReviewLog
from facedata.review import Decision, PhotoDecision
from facedata.storage import Storage

_DECISIONS = "decisions.jsonl"
_PHOTO_DECISIONS = "photo_decisions.jsonl"
_ANSWERS = "answers.jsonl"
_PLAN = "plan.json"
_INDEX = "index.json"
_OPENED = "opened.json"
_CLOSED = "closed.json"
_BATCH = TypeAdapter(Batch)
_BATCH_INDEX = TypeAdapter(BatchIndex)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFolder:
    """The files of a review; logs are only ever appended to.

    A batch has a plan, written before anything is sent, then the marker ``opened`` once all its
    questions are on the server, then ``closed`` once all are answered or people ended it.
    """

    storage: Storage
    dataset: str

    def path(self, name: str) -> str:
        """Path in the workspace of one of the files."""
        return f"review/{self.dataset}/{name}"

    def decisions(self) -> list[Decision]:
        """All decisions about pairs, oldest first."""
        return self._decisions.rows()

    def decisions_about(self, firsts: Collection[str]) -> list[Decision]:
        """The decisions about pairs whose first identity is one of these, oldest first."""
        return self._decisions.rows_with("identity_a", firsts)

    def photo_decisions(self) -> list[PhotoDecision]:
        """All decisions about photos, oldest first."""
        return self._photo_decisions.rows()

    def photo_decisions_about(self, identities: Collection[str]) -> list[PhotoDecision]:
        """The decisions about photos of these identities, oldest first."""
        return self._photo_decisions.rows_with("identity", identities)

    def answers(self) -> list[PersonAnswer]:
        """All answers of single people, oldest first."""
        return self._answers.rows()

    def answers_to(self, batches: Collection[str]) -> list[PersonAnswer]:
        """The answers of single people to these batches, oldest first."""
        return self._answers.rows_with("batch", batches)

    def answers_by_batch(self) -> Mapping[str, int]:
        """How many rows there are about each batch, withdrawn answers and earlier ones too."""
        return self._answers.counts_of("batch")

    def append_decisions(self, rows: Sequence[Decision]) -> None:
        """Add decisions about pairs."""
        self._decisions.append(rows)

    def append_photo_decisions(self, rows: Sequence[PhotoDecision]) -> None:
        """Add decisions about photos."""
        self._photo_decisions.append(rows)

    def append_answers(self, rows: Sequence[PersonAnswer]) -> None:
        """Add answers of single people."""
        self._answers.append(rows)

    def batch_names(self) -> list[str]:
        """Names of all batches ever planned, in order of name."""
        return [
            name
            for name in self.storage.names(self.path("batches"))
            if self.storage.exists(self._batch_path(name, _PLAN))
        ]

    def batch(self, name: str) -> Batch:
        """The plan of a batch."""
        return _BATCH.validate_json(self.storage.read(self._batch_path(name, _PLAN)))

    def batch_with(self, name: str, keys: Collection[str]) -> Batch:
        """The plan of a batch with those of its questions that have these keys; the others are not
        checked, which is most of the time that reading takes."""
        plan: dict[str, Any] = json.loads(self.storage.read(self._batch_path(name, _PLAN)))
        plan["items"] = [item for item in plan["items"] if item["key"] in keys]
        return _BATCH.validate_python(plan)

    def index(self, name: str) -> BatchIndex:
        """What a batch asks, without the plan; a batch is read whole where it has no index yet."""
        path = self._batch_path(name, _INDEX)
        if not self.storage.exists(path):
            return index_of(self.batch(name))
        return _BATCH_INDEX.validate_json(self.storage.read(path))

    def plan(self, batch: Batch) -> None:
        """Write down what will be sent."""
        # First: a batch is there once its plan is.
        index = _BATCH_INDEX.dump_json(index_of(batch))
        self.storage.write(self._batch_path(batch.name, _INDEX), index)
        self.storage.write(self._batch_path(batch.name, _PLAN), _BATCH.dump_json(batch))

    def opened_at(self, name: str) -> float | None:
        """When a batch was last sent whole, in Unix seconds; None while it has not been."""
        path = self._batch_path(name, _OPENED)
        if not self.storage.exists(path):
            return None
        return float(json.loads(self.storage.read(path))["at"])

    def mark_opened(self, name: str, now: float) -> None:
        """Say that all questions of a batch have been sent, ``now`` in Unix seconds."""
        self.storage.write(self._batch_path(name, _OPENED), json.dumps({"at": now}).encode())

    def is_closed(self, name: str) -> bool:
        """Whether a batch is answered or was ended."""
        return self.storage.exists(self._batch_path(name, _CLOSED))

    def open_batches(self) -> list[str]:
        """Names of the batches that are planned and not closed, in order of name."""
        return [name for name in self.batch_names() if not self.is_closed(name)]

    def mark_closed(self, name: str) -> None:
        """Say that a batch is answered or was ended."""
        self.storage.write(self._batch_path(name, _CLOSED), b"{}")

    def _batch_path(self, name: str, file: str) -> str:
        return self.path(f"batches/{name}/{file}")

    @property
    def _decisions(self) -> ReviewLog[Decision]:
        return ReviewLog(storage=self.storage, path=self.path(_DECISIONS), row_type=Decision)

    @property
    def _photo_decisions(self) -> ReviewLog[PhotoDecision]:
        return ReviewLog(
            storage=self.storage, path=self.path(_PHOTO_DECISIONS), row_type=PhotoDecision
        )

    @property
    def _answers(self) -> ReviewLog[PersonAnswer]:
        return ReviewLog(storage=self.storage, path=self.path(_ANSWERS), row_type=PersonAnswer)
