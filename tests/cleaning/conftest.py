"""A review that is killed where a test wants it: its server in memory, its workspace on disk."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from cleaning.faces.align import encode_crop
from cleaning.review.addresses import Addresses
from cleaning.review.decisions import latest
from cleaning.review.items import Batch, PairItem, Side, question_key
from cleaning.review.server import Annotation, JsonObject, ProjectSpec, ServerTask, TaskBody
from cleaning.stages.exchange import Exchange
from cleaning.stages.pull import Pull, Pulled
from cleaning.stages.push import Push, Pushed
from cleaning.stages.review_folder import ReviewFolder
from facedata.errors import ProjectGoneError, ReviewError
from facedata.options import ImageOptions, ReviewOptions
from facedata.review import Kind
from facedata.storage import Storage


@dataclass
class MemoryServer:
    """A review server in memory that does what the real one does, and may fail at a request.

    ``fail_at`` counts requests that change something, from 1; ``after`` says whether that one is
    carried out before the connection is lost. ``lists`` counts the times that a whole project was
    listed.
    """

    projects: dict[int, ProjectSpec] = field(default_factory=dict)
    tasks: dict[int, tuple[int, TaskBody]] = field(default_factory=dict)
    given: dict[int, list[Annotation]] = field(default_factory=dict)
    changed: dict[int, str] = field(default_factory=dict)
    fail_at: int = 0
    after: bool = False
    lists: int = 0
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    seconds: Iterator[int] = field(default_factory=lambda: itertools.count(0))

    def open_project(self, spec: ProjectSpec, known_id: int | None) -> int:
        if known_id in self.projects:
            return int(known_id or 0)
        same = [number for number, there in self.projects.items() if there.title == spec.title]
        if not same:
            same = [next(self.ids)]
            self._change(lambda: self.projects.update({same[0]: spec}))
        return same[0]

    def project_url(self, project: int) -> str:
        return f"memory:{project}"

    def task_ids(self, project: int) -> dict[str, int]:
        self.lists += 1
        self._check(project)
        ids: dict[str, int] = {}
        for number, (where, body) in sorted(self.tasks.items()):
            if where == project:
                ids.setdefault(body.key, number)
        return ids

    def find_project(self, title: str) -> int | None:
        found = [number for number, there in self.projects.items() if there.title == title]
        return found[0] if found else None

    def count_tasks(self, project: int) -> int:
        self._check(project)
        return sum(where == project and body.key != "" for where, body in self.tasks.values())

    def add_tasks(self, project: int, tasks: Sequence[TaskBody]) -> int:
        present = {body.key for where, body in self.tasks.values() if where == project}
        for start in range(0, len(tasks), 2):
            new = [task for task in tasks[start : start + 2] if task.key not in present]
            made = {next(self.ids): (project, task) for task in new}
            self._change(lambda made=made: self.tasks.update(made))
        return sum(task.key not in present for task in tasks)

    def replace_data(self, project: int, data: Mapping[int, JsonObject]) -> None:
        for number, values in data.items():
            body = replace(self.tasks[number][1], data=values)
            self._change(lambda n=number, b=body: self.tasks.update({n: (project, b)}))

    def remove_tasks(self, project: int, task_ids: Sequence[int]) -> None:
        self._check(project)
        for number in task_ids:
            self._change(lambda number=number: self._remove(number))

    def changed_tasks(self, project: int, since: str | None) -> Iterator[ServerTask]:
        self._check(project)
        for number, (where, body) in sorted(self.tasks.items()):
            if where == project and self.changed.get(number, "") > (since or ""):
                there = tuple(self.given.get(number, ()))
                yield ServerTask(
                    id=number, key=body.key, updated_at=self.changed[number], annotations=there
                )

    def serve_folder(self, project: int, _folder: str) -> None:
        self._check(project)

    def set_webhook(self, project: int, _url: str, _headers: Mapping[str, str]) -> int:
        self._check(project)
        return 1

    def remove_webhook(self, webhook: int) -> None:
        """There is none."""

    # --- what people do on the server ---------------------------------------------------------

    def answer(self, key: str, who: str, word: str = "same", *more: JsonObject) -> str:
        """Answer the newest task of a key; returns the annotation's id."""
        number = max(number for number, (_, body) in self.tasks.items() if body.key == key)
        there = Annotation(
            id=str(next(self.ids)),
            annotator=who,
            answered_at=self._tick(number),
            result=(choice("answer", word), *more),
        )
        self.given.setdefault(number, []).append(there)
        return there.id

    def edit(self, annotation: str, word: str | None) -> None:
        """Change an annotation's answer, or delete it."""
        for number, there in self.given.items():
            for place, one in enumerate(there):
                if one.id == annotation:
                    when = self._tick(number)
                    result = (choice("answer", word or ""),)
                    new = [replace(one, answered_at=when, result=result)] if word else []
                    self.given[number] = [*there[:place], *new, *there[place + 1 :]]
                    return
        raise KeyError(annotation)

    def drop(self, key: str) -> None:
        """Delete the task of a key with its answers, as a person does."""
        for number in [n for n, (_, body) in self.tasks.items() if body.key == key]:
            self._remove(number)

    def drop_project(self) -> None:
        """Delete everything."""
        for number in list(self.tasks):
            self._remove(number)
        self.projects.clear()

    def _tick(self, number: int) -> str:
        self.changed[number] = f"2026-03-01T10:{next(self.seconds):02d}:00.000000Z"
        return self.changed[number]

    def _remove(self, number: int) -> None:
        for held in (self.tasks, self.given, self.changed):
            held.pop(number, None)  # type: ignore[attr-defined]

    def _check(self, project: int) -> None:
        if project not in self.projects:
            raise ProjectGoneError(f"project {project} is gone; push again to make it")

    def _change(self, change: Callable[[], None]) -> None:
        self.fail_at -= 1
        if self.fail_at == 0 and not self.after:
            raise ReviewError("the server was killed; start it")
        change()
        if self.fail_at == 0:
            raise ReviewError("the server was killed; start it")


def choice(name: str, word: str) -> JsonObject:
    return {"from_name": name, "type": "choices", "value": {"choices": [word]}}


class KilledError(BaseException):
    """The process ends here: nothing in it may catch this."""


class MortalStorage(Storage):
    """A workspace whose process is killed at its ``dies_at``-th write, counted from 1.

    A file is then not there, and half of what was to be appended is.
    """

    dies_at = 0

    def write(self, relative: str, data: bytes) -> None:
        self._live()
        super().write(relative, data)

    def append(self, relative: str, data: bytes) -> None:
        try:
            self._live()
        except KilledError:
            super().append(relative, data[: len(data) // 2])
            raise
        super().append(relative, data)

    def _live(self) -> None:
        self.dies_at -= 1
        if self.dies_at == 0:
            raise KilledError


@dataclass
class ReviewWorld:
    """A review folder, its server, and pushes and pulls on them."""

    storage: MortalStorage
    server: MemoryServer = field(default_factory=MemoryServer)
    overlap: int = 2

    @property
    def folder(self) -> ReviewFolder:
        return ReviewFolder(storage=self.storage, dataset="people")

    @property
    def exchange(self) -> Exchange:
        options = ReviewOptions(backend="label-studio", overlap=self.overlap)
        addresses = Addresses(ImageOptions(), self.storage)
        return Exchange(
            folder=self.folder, server=self.server, options=options, addresses=addresses
        )

    def batch(self, pairs: str, number: int = 1, kind: Kind = Kind.PAIRS, times: int = 0) -> Batch:
        """A batch about pairs of one-letter identities: ``"ab ac"``."""
        items = tuple(pair_item(kind, pair, times) for pair in pairs.split())
        overlap = 1 if kind == Kind.SENIOR else self.overlap
        name = f"{kind.value}-{number:04d}"
        return Batch(name=name, kind=kind, overlap=overlap, model="rec 0123", items=items)

    def push(self, *batches: Batch, now: float = 1000.0) -> Pushed:
        """Push until as many batches are open as are given; those come in this order."""
        planned = {batch.name: batch for batch in batches}
        wanted = Counter(batch.kind for batch in batches)

        def plan(kind: Kind) -> Batch | None:
            there = set(self.folder.batch_names())
            left = [b for n, b in planned.items() if b.kind == kind and n not in there]
            return left[0] if left else None

        return Push(self.exchange, crops_of, now, lambda _: None).run(plan, wanted)

    def pull(self, now: str = "2026-03-02T10:00:00+00:00") -> Pulled:
        """Pull, and close what is complete."""
        pulled = Pull(self.exchange, now).run()
        for name in pulled.complete:
            self.folder.mark_closed(name)
        return pulled

    def words(self) -> dict[str, str]:
        """The decision that counts for each pair."""
        return {"".join(p): row.decision for p, row in latest(self.folder.decisions()).items()}

    def files(self) -> dict[str, bytes]:
        """Everything in the review folder."""
        root = self.storage.local_path("review")
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


def pair_item(kind: Kind, pair: str, times: int = 0) -> PairItem:
    sides = [Side(identity=name, photos=3, faces=(f"{name}-0", f"{name}-1")) for name in pair]
    return PairItem(
        key=question_key(kind, list(pair), times),
        a=sides[0],
        b=sides[1],
        face_a=f"{pair[0]}-0",
        face_b=f"{pair[1]}-0",
        max_similarity=0.5,
        centroid_similarity=0.25,
        close_pairs=2,
        chance_same=0.5,
    )


def crops_of(faces: Collection[str]) -> dict[str, bytes]:
    greys = {face: 40 + sum(face.encode()) % 150 for face in faces}
    return {
        face: encode_crop(np.full((112, 112, 3), grey, np.uint8)) for face, grey in greys.items()
    }


@pytest.fixture
def review_world(tmp_path: Path) -> Callable[..., ReviewWorld]:
    """Makes a review in a workspace of its own; the second argument is the overlap."""

    def make(name: str = "work", overlap: int = 2) -> ReviewWorld:
        return ReviewWorld(storage=MortalStorage(tmp_path / name), overlap=overlap)

    return make


@pytest.fixture(scope="session")
def killed() -> type[BaseException]:
    """What a process that is killed raises."""
    return KilledError
