"""Fetching answers: what people answered becomes rows, what enough people answered decisions.

Everything is derived from append-only logs, so a pull that was killed, or ran twice, or came late
leaves the same rows as one that ran once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cleaning.review.decisions import latest, not_in_log
from cleaning.review.items import WITHDRAWN, Batch, Item, PairItem, PersonAnswer
from cleaning.review.majority import pair_decision, photo_decisions
from cleaning.review.progress import answered_keys
from cleaning.review.server import ServerTask
from cleaning.review.tasks import Unreadable, read_answer
from cleaning.stages.exchange import Exchange
from facedata.errors import ProjectGoneError
from facedata.review import PENDING, Decision, Kind, PhotoDecision

_WATERMARKS = "pulled.json"

Rows = dict[str, list[PersonAnswer]]
"""Answer rows by the question's key, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What a pull brought; ``complete`` names the batches that all have enough answers now.

    ``problems`` are lines about answers that could not be understood, and about projects and
    tasks that are not as they were.
    """

    answers: int
    decisions: tuple[Decision, ...]
    photo_decisions: tuple[PhotoDecision, ...]
    complete: tuple[str, ...]
    problems: tuple[str, ...]


class Pull:
    """One pull; ``now`` is the time that withdrawn answers carry, ISO 8601 in UTC."""

    def __init__(self, exchange: Exchange, now: str) -> None:
        self._exchange = exchange
        self._folder = exchange.folder
        self._now = now
        self._problems: list[str] = []
        self._questions = _Questions(exchange)
        self._rows: Rows = defaultdict(list)

    def run(self) -> Pulled:
        """Fetch what is new since the last pull.

        Raises:
            ReviewError: the server failed; nothing is lost, the next pull fetches it.
        """
        for row in self._folder.answers():
            self._rows[row.key].append(row)
        fresh, marks, touched = self._fetch()
        self._folder.append_answers(fresh)
        open_names = self._folder.open_batches()
        names = sorted({*open_names, *touched})
        decisions = not_in_log(self._decide(names), self._folder.decisions())
        photos = not_in_log(self._decide_photos(names), self._folder.photo_decisions())
        self._folder.append_decisions(decisions)
        self._folder.append_photo_decisions(photos)
        # Last: a pull that was killed before reads the same changes again.
        self._note_watermarks(marks)
        return Pulled(
            answers=len(fresh),
            decisions=tuple(decisions),
            photo_decisions=tuple(photos),
            complete=tuple(name for name in open_names if self._is_complete(name)),
            problems=tuple(self._problems),
        )

    def _fetch(self) -> tuple[list[PersonAnswer], dict[str, str], set[str]]:
        """New answer rows, each project's newest change, and the batches they belong to."""
        marks = self._watermarks()
        fresh: list[PersonAnswer] = []
        touched: set[str] = set()
        for kind, project in self._exchange.known_projects().items():
            mark = f"{kind.value} {project}"
            newest = marks.get(mark, "")
            for task in self._tasks(kind, project, newest or None):
                newest = max(newest, task.updated_at)
                found = self._questions.find(task.key)
                if found is None:
                    self._problem(kind, task, "is not one of ours; it is left alone")
                else:
                    batch, item = found
                    touched.add(batch.name)
                    fresh.extend(self._new_rows(task, batch, item))
            marks[mark] = newest
        return fresh, marks, touched

    def _tasks(self, kind: Kind, project: int, since: str | None) -> Iterable[ServerTask]:
        try:
            yield from self._exchange.server.changed_tasks(project, since)
        except ProjectGoneError:
            self._problems.append(
                f"{kind.value}: project {project} was deleted on the server; the answers fetched "
                "so far are kept, and `winnow review push` sends the open questions again"
            )

    def _new_rows(self, task: ServerTask, batch: Batch, item: Item) -> list[PersonAnswer]:
        """Answers that are new or changed, and those that were taken back."""
        known = {row.annotation: row for row in self._rows[task.key]}
        rows: list[PersonAnswer] = []
        for annotation in sorted(task.annotations, key=lambda one: (one.answered_at, one.id)):
            answer = read_answer(item, batch.name, annotation)
            if isinstance(answer, Unreadable):
                self._problem(batch.kind, task, answer.problem)
            elif known.get(annotation.id) != answer:
                rows.append(answer)
        there = {annotation.id for annotation in task.annotations}
        rows.extend(
            replace(row, answer=WITHDRAWN, answered_at=self._now)
            for row in known.values()
            if row.annotation not in there and row.answer != WITHDRAWN
        )
        self._rows[task.key].extend(rows)
        return rows

    def _decide(self, names: Iterable[str]) -> list[Decision]:
        """What the answers to these batches say about pairs; a majority that is gone is a row too.

        Control questions measure people and decide nothing.
        """
        log = latest(self._folder.decisions())
        decisions: list[Decision] = []
        for batch, item in self._items(names):
            if not isinstance(item, PairItem) or item.gold:
                continue
            rows = self._rows.get(item.key, [])
            decision = pair_decision(item, batch, rows)
            before = log.get((item.a.identity, item.b.identity))
            if decision is not None:
                decisions.append(decision)
            elif before is not None and _rests_on(before, batch, rows):
                decisions.append(replace(before, decision=PENDING, decided_at=self._now))
        return decisions

    def _decide_photos(self, names: Iterable[str]) -> list[PhotoDecision]:
        return [
            decision
            for batch, item in self._items(names)
            if not isinstance(item, PairItem)
            for decision in photo_decisions(item, batch, self._rows.get(item.key, []))
        ]

    def _items(self, names: Iterable[str]) -> Iterable[tuple[Batch, Item]]:
        for name in names:
            batch = self._questions.batch(name)
            for item in batch.items:
                yield batch, item

    def _is_complete(self, name: str) -> bool:
        batch = self._questions.batch(name)
        rows = [row for item in batch.items for row in self._rows.get(item.key, [])]
        return len(answered_keys(batch, rows)) == len(batch.items)

    def _problem(self, kind: Kind, task: ServerTask, text: str) -> None:
        self._problems.append(f"{kind.value}: task {task.id} {text}")

    def _watermarks(self) -> dict[str, str]:
        path = self._folder.path(_WATERMARKS)
        if not self._folder.storage.exists(path):
            return {}
        marks: dict[str, str] = json.loads(self._folder.storage.read(path))
        return marks

    def _note_watermarks(self, marks: dict[str, str]) -> None:
        path = self._folder.path(_WATERMARKS)
        self._folder.storage.write(path, json.dumps(marks, indent=1, sort_keys=True).encode())


def _rests_on(decision: Decision, batch: Batch, rows: Sequence[PersonAnswer]) -> bool:
    """Whether a decision of the log came from these answers."""
    return (
        decision.decision != PENDING
        and decision.kind == batch.kind.value
        and decision.decided_at in {row.answered_at for row in rows}
    )


class _Questions:
    """Finds questions by key: open batches first, closed ones when a late answer needs them."""

    def __init__(self, exchange: Exchange) -> None:
        self._folder = exchange.folder
        self._batches: dict[str, Batch] = {}
        self._found: dict[str, tuple[Batch, Item]] = {}
        for name in self._folder.open_batches():
            self.batch(name)

    def batch(self, name: str) -> Batch:
        """A batch by its name."""
        if name not in self._batches:
            batch = self._folder.batch(name)
            self._batches[name] = batch
            self._found.update((item.key, (batch, item)) for item in batch.items)
        return self._batches[name]

    def find(self, key: str) -> tuple[Batch, Item] | None:
        """The batch and the question of a key; None when nobody asked it."""
        if key not in self._found:
            for name in reversed(self._folder.batch_names()):
                self.batch(name)
                if key in self._found:
                    break
        return self._found.get(key)
