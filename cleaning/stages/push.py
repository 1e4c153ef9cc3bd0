"""Sending questions: a batch is planned, its pictures written, its tasks created, its marker set.

Every step can be repeated: a push that was killed goes on with the plan it had written, and a task
that somebody deleted before it was answered is created again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cleaning.review.items import Batch, Item
from cleaning.review.progress import answered_keys
from cleaning.review.server import JsonObject, TaskBody
from cleaning.review.tasks import task_body
from cleaning.stages.batch_index import kind_of
from cleaning.stages.exchange import IMAGES, Exchange
from cleaning.stages.pictures import Pictures, ReadCrops
from cleaning.stages.sent import SentTasks
from facedata.review import Kind

_RENEW_AFTER = 0.5
"""Part of an address's life after which it is made anew."""

PlanBatch = Callable[[Kind], Batch | None]
"""Plans the next batch of a kind; None when there is nothing to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a push did: batches newly complete on the server, with their number of questions, and
    tasks created."""

    opened: Mapping[str, int]
    tasks: int


class Push:
    """One push: finishes what an earlier one left, then opens new batches."""

    def __init__(
        self, exchange: Exchange, crops: ReadCrops, now: float, say: Callable[[str], None]
    ) -> None:
        """``now`` is in Unix seconds."""
        self._exchange = exchange
        self._pictures = Pictures(exchange.folder, crops)
        self._sent = SentTasks(exchange)
        self._now = now
        self._say = say
        self._tasks = 0
        self._opened: dict[str, int] = {}

    def run(self, plan: PlanBatch, wanted: Mapping[Kind, int]) -> Pushed:
        """Send what is planned, then plan until ``wanted`` batches of each kind are open.

        Raises:
            ReviewError: the server failed; what was sent stays, and the next push goes on.
        """
        folder = self._exchange.folder
        open_now = folder.open_batches()
        for name in open_now:
            self._look_after(name)
        for kind, count in wanted.items():
            for _ in range(count - sum(kind_of(name) == kind for name in open_now)):
                planned = plan(kind)
                if planned is None:
                    break
                folder.plan(planned)
                self._send(planned)
        self._sent.note()
        return Pushed(opened=self._opened, tasks=self._tasks)

    def _look_after(self, name: str) -> None:
        """Send what is missing of a batch that was planned before, and renew its addresses."""
        folder = self._exchange.folder
        signed = folder.opened_at(name)
        if signed is None:
            self._send(folder.batch(name))
            return
        is_old = self._must_renew(self._now - signed)
        # Listing a large project takes a minute: not when all is as it was left.
        if not is_old and self._sent.is_whole(kind_of(name)):
            return
        batch = folder.batch(name)
        ids = self._sent.ids(batch.kind)
        waiting = self._waiting(batch)
        self._add(batch, [item for item in waiting if item.key not in ids])
        if is_old:
            self._renew(batch, [item for item in waiting if item.key in ids], ids)

    def _send(self, batch: Batch) -> None:
        """Send a batch; questions that an earlier push sent are left out by the server's client."""
        self._add(batch, self._waiting(batch))
        self._opened[batch.name] = len(batch.items)
        self._exchange.folder.mark_opened(batch.name, self._now)

    def _add(self, batch: Batch, items: Sequence[Item]) -> None:
        if not items:
            return
        self._pictures.make(items)
        project = self._exchange.project(batch.kind)
        bodies = [self._body(item, batch) for item in items]
        added = self._exchange.server.add_tasks(project, bodies)
        self._sent.add(batch.kind, added)
        self._tasks += added
        self._say(f"review {batch.name}: {added} questions sent")

    def _waiting(self, batch: Batch) -> list[Item]:
        rows = self._exchange.folder.answers_to([batch.name])
        done = answered_keys([item.key for item in batch.items], batch.overlap, rows)
        return [item for item in batch.items if item.key not in done]

    def _renew(self, batch: Batch, items: Sequence[Item], ids: Mapping[str, int]) -> None:
        """Give open tasks new addresses before the old ones end."""
        data: dict[int, JsonObject] = {
            ids[item.key]: self._body(item, batch).data for item in items
        }
        self._exchange.server.replace_data(self._exchange.project(batch.kind), data)
        self._exchange.folder.mark_opened(batch.name, self._now)
        self._say(f"review {batch.name}: addresses of {len(data)} questions renewed")

    def _must_renew(self, age: float) -> bool:
        valid = self._exchange.addresses.valid_for_seconds
        return valid is not None and age > valid * _RENEW_AFTER

    def _body(self, item: Item, batch: Batch) -> TaskBody:
        def address(name: str) -> str:
            return self._exchange.addresses.address_of(
                self._exchange.folder.path(f"{IMAGES}/{name}")
            )

        return task_body(item, address, batch.model)
