"""Sending questions: a batch is planned, its pictures written, its tasks created, its marker set.

Every step can be repeated: a push that was killed goes on with the plan it had written, and a task
that somebody deleted before it was answered is created again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cleaning.review.items import Batch, Item
from cleaning.review.progress import answered_keys
from cleaning.review.server import JsonObject, TaskBody
from cleaning.review.sheet import gallery_sheet
from cleaning.review.tasks import images_of, task_body
from cleaning.review.thumbnail import to_jpeg
from cleaning.stages.crops import CropReader
from cleaning.stages.exchange import IMAGES, Exchange
from facedata.review import Kind

_ITEMS_AT_ONCE = 100
"""Whose pictures are made together, so that each partition's crops are read once for them."""
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
        self,
        exchange: Exchange,
        crops: Callable[[], CropReader],
        now: float,
        say: Callable[[str], None],
    ) -> None:
        """``crops`` is asked for only when pictures are missing; ``now`` is in Unix seconds."""
        self._exchange = exchange
        self._crops = crops
        self._now = now
        self._say = say
        self._tasks = 0
        self._opened: dict[str, int] = {}
        self._task_ids: dict[Kind, dict[str, int]] = {}

    def run(self, plan: PlanBatch, wanted: Mapping[Kind, int]) -> Pushed:
        """Send what is planned, then plan until ``wanted`` batches of each kind are open.

        Raises:
            ReviewError: the server failed; what was sent stays, and the next push goes on.
        """
        folder = self._exchange.folder
        open_now = [folder.batch(name) for name in folder.open_batches()]
        for batch in open_now:
            self._send(batch)
        for kind, count in wanted.items():
            for _ in range(count - sum(batch.kind == kind for batch in open_now)):
                planned = plan(kind)
                if planned is None:
                    break
                folder.plan(planned)
                self._send(planned)
        return Pushed(opened=self._opened, tasks=self._tasks)

    def _send(self, batch: Batch) -> None:
        folder = self._exchange.folder
        ids = self._ids(batch.kind)
        waiting = self._waiting(batch)
        missing = [item for item in waiting if item.key not in ids]
        for start in range(0, len(missing), _ITEMS_AT_ONCE):
            items = missing[start : start + _ITEMS_AT_ONCE]
            self._write_images(items)
            self._exchange.server.add_tasks(
                self._exchange.project(batch.kind), [self._body(item, batch) for item in items]
            )
            self._tasks += len(items)
            self._say(f"review {batch.name}: {len(items)} questions sent")
        signed = folder.opened_at(batch.name)
        if signed is None:
            self._opened[batch.name] = len(batch.items)
            folder.mark_opened(batch.name, self._now)
        elif self._must_renew(self._now - signed):
            self._renew(batch, [item for item in waiting if item.key in ids], ids)

    def _waiting(self, batch: Batch) -> list[Item]:
        done = answered_keys(batch, self._exchange.folder.answers_to([batch.name]))
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

    def _ids(self, kind: Kind) -> dict[str, int]:
        if kind not in self._task_ids:
            project = self._exchange.project(kind)
            self._task_ids[kind] = self._exchange.server.task_ids(project)
        return self._task_ids[kind]

    def _body(self, item: Item, batch: Batch) -> TaskBody:
        def address(name: str) -> str:
            return self._exchange.addresses.address_of(
                self._exchange.folder.path(f"{IMAGES}/{name}")
            )

        return task_body(item, address, batch.model)

    def _write_images(self, items: Iterable[Item]) -> None:
        folder = self._exchange.folder
        wanted: dict[str, tuple[str, ...]] = {}
        for item in items:
            wanted.update(images_of(item))
        there = set(folder.storage.names(folder.path(IMAGES)))
        missing = {name: faces for name, faces in wanted.items() if name not in there}
        if not missing:
            return
        crop_of = self._crops()
        crops = {face: crop_of(face) for face in sorted({f for fs in missing.values() for f in fs})}
        for name, faces in missing.items():
            pictures = [crops[face] for face in faces]
            data = to_jpeg(pictures[0]) if len(pictures) == 1 else gallery_sheet(pictures)
            folder.storage.write(folder.path(f"{IMAGES}/{name}"), data)
