"""Fetching answers: what people answered becomes rows, what enough people answered decisions.

Everything is derived from append-only logs, so a pull that was killed, or ran twice, or came late
leaves the same rows as one that ran once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cleaning.review.decisions import latest, latest_photos, not_in_log
from cleaning.review.items import WITHDRAWN, Batch, Item, PairItem, PersonAnswer
from cleaning.review.majority import pair_decision, photo_decisions
from cleaning.review.progress import answered_keys
from cleaning.review.server import ServerTask
from cleaning.review.tasks import Unreadable, read_answer
from cleaning.stages.asked import Questions
from cleaning.stages.batch_index import subjects_of
from cleaning.stages.exchange import Exchange
from facedata.errors import ProjectGoneError
from facedata.review import PENDING, Decision, Kind, PhotoDecision, ordered_pair

_WATERMARKS = "pulled.json"
_SETTLES_AFTER = timedelta(seconds=60)
"""A task may change after its page was listed, and before a later one was; longer than listing
takes, and than the clocks of two machines differ."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changed:
    """A task that changed, and its question."""

    task: ServerTask
    batch: Batch
    item: Item


class Pull:
    """One pull; ``now`` is the time that withdrawn answers carry, ISO 8601 in UTC."""

    def __init__(self, exchange: Exchange, now: str) -> None:
        self._exchange = exchange
        self._folder = exchange.folder
        self._now = now
        self._problems: list[str] = []
        self._questions = Questions(exchange.folder)
        self._rows: Rows = defaultdict(list)

    def run(self) -> Pulled:
        """Fetch what is new since the last pull.

        Raises:
            ReviewError: the server failed; nothing is lost, the next pull fetches it.
        """
        tasks, marks = self._fetch()
        changed = self._with_questions(tasks)
        for row in self._folder.answers_to({one.batch.name for one in changed}):
            self._rows[row.key].append(row)
        fresh = [row for one in changed for row in self._new_rows(one)]
        self._folder.append_answers(fresh)
        # What is decided rests on the questions' rows alone: others decide what they did.
        asked = {one.item.key: (one.batch, one.item) for one in changed if self._rows[one.item.key]}
        decisions = self._decide(asked.values())
        self._folder.append_decisions(decisions)
        photos = self._decide_photos(asked.values())
        self._folder.append_photo_decisions(photos)
        # Last: a pull that was killed before reads the same changes again.
        self._note_watermarks(marks)
        return Pulled(
            answers=len(fresh),
            decisions=tuple(decisions),
            photo_decisions=tuple(photos),
            complete=tuple(self._complete()),
            problems=tuple(self._problems),
        )

    def _fetch(self) -> tuple[dict[str, list[ServerTask]], dict[str, str]]:
        """The tasks that changed, by batch, and until when each project has been looked through."""
        marks = self._watermarks()
        changed: dict[str, list[ServerTask]] = defaultdict(list)
        for kind, project in self._exchange.known_projects().items():
            mark = self._exchange.name_of(project)
            newest = before = marks.get(mark, "")
            for task in self._tasks(kind, project, before or None):
                newest = max(newest, task.updated_at)
                batch = self._questions.find(kind, task.key)
                if batch is None:
                    self._problem(kind, task, "is not one of ours; it is left alone")
                else:
                    changed[batch].append(task)
            marks[mark] = max(before, self._settled(newest))
        return changed, marks

    def _with_questions(self, tasks: Mapping[str, Sequence[ServerTask]]) -> list[_Changed]:
        changed: list[_Changed] = []
        for name, of_batch in tasks.items():
            batch = self._folder.batch_with(name, {task.key for task in of_batch})
            items = {item.key: item for item in batch.items}
            changed += [_Changed(task=one, batch=batch, item=items[one.key]) for one in of_batch]
        return changed

    def _tasks(self, kind: Kind, project: int, since: str | None) -> Iterable[ServerTask]:
        try:
            yield from self._exchange.server.changed_tasks(project, since)
        except ProjectGoneError:
            self._problems.append(
                f"{kind.value}: project {project} was deleted on the server; the answers fetched "
                "so far are kept, and `winnow review push` sends the open questions again"
            )

    def _settled(self, newest: str) -> str:
        """The newest change, or the time until which none can have been missed."""
        safe = datetime.fromisoformat(self._now) - _SETTLES_AFTER
        if not newest or datetime.fromisoformat(newest) <= safe:
            return newest
        return safe.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _new_rows(self, changed: _Changed) -> list[PersonAnswer]:
        """Answers that are new or changed, and those that were taken back."""
        task = changed.task
        # A question sent again is another task: what was answered to the first stays.
        known = {
            row.annotation: row
            for row in self._rows[task.key]
            if row.annotation.startswith(f"{task.id}/")
        }
        rows: list[PersonAnswer] = []
        there = set()
        for annotation in sorted(task.annotations, key=lambda one: (one.answered_at, one.id)):
            named = replace(annotation, id=f"{task.id}/{annotation.id}")
            there.add(named.id)
            before = known.get(named.id)
            answer = read_answer(changed.item, changed.batch.name, named)
            if isinstance(answer, Unreadable):
                self._problem(changed.batch.kind, task, answer.problem)
            # A person who is renamed or deleted on the server is no second voter.
            elif before is None or replace(answer, annotator=before.annotator) != before:
                rows.append(replace(answer, annotator=(before or answer).annotator))
        rows.extend(
            replace(row, answer=WITHDRAWN, answered_at=self._now)
            for row in known.values()
            if row.annotation not in there and row.answer != WITHDRAWN
        )
        self._rows[task.key].extend(rows)
        return rows

    def _decide(self, answered: Iterable[tuple[Batch, Item]]) -> list[Decision]:
        """What the answers to these questions say about pairs that the log does not; a majority
        that is gone is a row too.

        Control questions measure people and decide nothing.
        """
        asked = [
            (batch, item)
            for batch, item in answered
            if isinstance(item, PairItem) and not item.gold
        ]
        log = self._folder.decisions_about({_pair(item)[0] for _, item in asked})
        known = latest(log)
        decisions: list[Decision] = []
        for batch, item in asked:
            rows = self._rows[item.key]
            decision = pair_decision(item, batch, rows)
            before = known.get(_pair(item))
            if decision is not None:
                decisions.append(decision)
            elif before is not None and _rests_on(before, batch, rows):
                decisions.append(replace(before, decision=PENDING, decided_at=_last(rows)))
        return not_in_log(decisions, log)

    def _decide_photos(self, answered: Iterable[tuple[Batch, Item]]) -> list[PhotoDecision]:
        """The same about photos."""
        asked = [(batch, item) for batch, item in answered if not isinstance(item, PairItem)]
        log = self._folder.photo_decisions_about({item.reference.identity for _, item in asked})
        known = latest_photos(log)
        decisions: list[PhotoDecision] = []
        for batch, item in asked:
            rows = self._rows[item.key]
            decided = photo_decisions(item, batch, rows)
            decisions.extend(decided)
            if not decided:
                decisions.extend(
                    replace(before, decision=PENDING, decided_at=_last(rows))
                    for image_id, identity in subjects_of(item)
                    if (before := known.get((image_id, identity))) is not None
                    and _rests_on(before, batch, rows)
                )
        return not_in_log(decisions, log)

    def _complete(self) -> Iterator[str]:
        """The open batches that have enough answers, whenever those came: an earlier pull may have
        been killed before it could say so."""
        rows_of = self._folder.answers_by_batch()
        for name in self._folder.open_batches():
            if not rows_of.get(name):
                continue
            index = self._folder.index(name)
            # Few rows cannot be enough, and need not be read.
            if rows_of[name] >= len(index.keys) * index.overlap:
                rows = self._folder.answers_to([name])
                if len(answered_keys(index.keys, index.overlap, rows)) == len(index.keys):
                    yield name

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


def _pair(item: PairItem) -> tuple[str, str]:
    return ordered_pair(item.a.identity, item.b.identity)


def _rests_on(
    decision: Decision | PhotoDecision, batch: Batch, rows: Sequence[PersonAnswer]
) -> bool:
    """Whether a decision of the log came from these answers."""
    return (
        decision.decision != PENDING
        and decision.kind == batch.kind.value
        and decision.decided_at in {row.answered_at for row in rows}
    )


def _last(rows: Sequence[PersonAnswer]) -> str:
    return max(row.answered_at for row in rows)
