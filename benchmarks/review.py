"""The review at many open candidates: ``python -m benchmarks review``, 50,000 with ``--full``.

A real Label Studio server of its own (the release in requirements/label-studio.txt) on loopback
with SQLite, and questions about generated faces (``benchmarks/review_data.py``) that go through
``cleaning.stages.push.Push`` in batches of 500 and come back through ``cleaning.stages.pull.Pull``.
``push`` is the rate of all questions since the column before, with everything a push does; 320
identities' pictures are shared, so most are there after the first batches. ``one batch more`` is a
push of 500 into the project that holds the others. Then, with so many questions in the project:
what the browser of an annotator or of the one who leads asks for (median of 7), an answer (median
of 100), a pull of these 100, and a pull when nothing is new (median of 3). ``planning`` reads what
was asked before, as the planner does once per push. Memory: ``winnow`` is this process' peak while
it pushes and while it pulls, ``server`` what the server holds afterwards. ``beside`` is a second
project on the then full server, where all pictures are missing, ``pictures there`` the same again
in a third project that has them. Peers: the request that the library's ``projects.import_tasks``
sends, once per question, and once for all; no pictures, no plan, and nothing that keeps a repeated
request from creating a task twice. ``load average`` tells what else the machine was doing.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

from benchmarks.memory import group_mb, peak_mb, reset_peak_mb
from benchmarks.review_data import BATCH, Material, exchange_with
from cleaning.review.items import Batch
from cleaning.review.label_studio_json import task_body as imported
from cleaning.review.tasks import project_spec, task_body
from cleaning.stages.asked import Asked
from cleaning.stages.exchange import IMAGES, Exchange
from cleaning.stages.pull import Pull
from cleaning.stages.push import Push
from demo.label_studio import RunningServer, executable, start_server
from demo.label_studio_home import ServerSettings
from facedata.errors import RequestError, ReviewError
from facedata.review import Kind
from facedata.storage import Storage

SIZES = (500, 5_000)
FULL_SIZES = (500, 5_000, 20_000, 50_000)
BESIDE = 1_000
_ANSWERS = 100
_REQUESTS, _PULLS = 7, 3
_PEER_TASKS, _PEER_ALONE = 5_000, 100
_SECONDS = 600.0

Row = dict[str, Any]


def run() -> list[Row]:
    """One row per number of questions, and one per peer; no rows without an installed server."""
    return measure(SIZES)


def run_full() -> list[Row]:
    """The same up to 50,000 questions; takes a quarter of an hour."""
    return measure(FULL_SIZES)


def measure(sizes: Sequence[int]) -> list[Row]:
    """Rows at numbers of questions, rising multiples of a batch."""
    try:
        executable()
    except RequestError:
        return []
    with tempfile.TemporaryDirectory() as folder, _started(Path(folder)) as server:
        root = server.settings.document_root
        material = Material(storage=Storage(root / "work"))
        material.write()
        many = Project(server, material, "many", material.batches())
        rows = []
        for size in sizes:
            rows.append({"case": f"{size:,} in the project", **many.grow(size)})
        few = Project(server, material, "few", material.batches(first_pair=max(sizes)))
        rows.append({"case": f"{BESIDE:,} beside {max(sizes):,}", **few.grow(BESIDE)})
        again = Project(server, material, "again", material.batches(first_pair=max(sizes)))
        shutil.copytree(few.pictures, again.pictures)
        rows.append({"case": "the same, pictures there", **again.fill(BESIDE)})
        return rows + _peers(many, min(_PEER_TASKS, max(sizes)))


@contextmanager
def _started(folder: Path) -> Iterator[RunningServer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings = ServerSettings(
        data_dir=folder / "server",
        port=port,
        document_root=folder / "files",
        token=secrets.token_hex(20),
        password=secrets.token_hex(10),
    )
    with start_server(settings) as server:
        yield server


class Project:
    """A review whose project is filled step by step, and what is measured at each."""

    def __init__(
        self, server: RunningServer, material: Material, name: str, batches: Iterator[Batch]
    ) -> None:
        root = server.settings.document_root
        self.exchange: Exchange = exchange_with(server.url, server.token, material, name, root)
        self._server = server
        self._material = material
        self._batches = batches
        self._open = 0
        self._http = httpx.Client(
            base_url=server.url,
            headers={"Authorization": f"Token {server.token}"},
            timeout=_SECONDS,
        )

    @property
    def pictures(self) -> Path:
        """Folder of the pictures."""
        folder = self.exchange.folder
        return folder.storage.local_path(folder.path(IMAGES))

    def grow(self, size: int) -> Row:
        """Push until the project holds ``size`` questions, then measure all else."""
        row = self.fill(size)
        return row | self._sizes() | self._requests() | self._answered(size) | self._held()

    def fill(self, size: int) -> Row:
        """Push until the project holds ``size`` questions, the last batch by itself."""
        reset_peak_mb()
        before = self._open
        seconds = self._push(size // BATCH - 1)
        last = self._push(size // BATCH)
        return {
            "push, questions/s": (self._open - before) * BATCH / (seconds + last),
            "one batch more, s": last,
            "winnow pushing, MB": peak_mb(),
        }

    def _push(self, batches: int) -> float:
        """Seconds to push until so many batches are open."""
        missing = batches - self._open
        if missing == 0:
            return 0.0
        started = time.perf_counter()
        pushing = Push(self.exchange, self._material.crops().some, time.time(), lambda _: None)
        pushed = pushing.run(lambda _: next(self._batches), {Kind.PAIRS: batches})
        seconds = time.perf_counter() - started
        if pushed.tasks != missing * BATCH:
            raise ReviewError(f"pushed {pushed.tasks} questions, not {missing * BATCH}; run again")
        self._open = batches
        return seconds

    def _sizes(self) -> Row:
        """Bytes of a task as it is sent."""
        batch = self.exchange.folder.batch(self.exchange.folder.batch_names()[-1])
        sizes = [len(json.dumps(body)) for body in bodies(self.exchange, batch)]
        return {"task body, median bytes": statistics.median(sizes), "largest": max(sizes)}

    def _requests(self) -> Row:
        project = self.exchange.project(Kind.PAIRS)
        first = {"project": project, "page": 1, "page_size": 30, "fields": "all"}
        task = self._get("/api/tasks/", first)["tasks"][-1]["id"]
        asked: dict[str, tuple[str, Row]] = {
            "project, ms": (f"/api/projects/{project}/", {}),
            "data manager's counts, ms": ("/api/dm/project", {"project": project}),
            "first page of tasks, ms": ("/api/tasks/", first),
            "next task, ms": (f"/api/projects/{project}/next", {}),
            "open a task, ms": (f"/api/tasks/{task}/", {"project": project}),
        }
        return {
            name: 1000 * _median(partial(self._get, at, query), _REQUESTS)
            for name, (at, query) in asked.items()
        }

    def _answered(self, size: int) -> Row:
        last = {"page": size // _ANSWERS, "page_size": _ANSWERS, "fields": "task_only"}
        listed = self._get("/api/tasks/", {"project": self.exchange.project(Kind.PAIRS)} | last)
        chosen = iter([task["id"] for task in listed["tasks"]])
        answer = _median(lambda: self._answer(next(chosen)), _ANSWERS)
        reset_peak_mb()
        fetched = _median(lambda: self._pull(_ANSWERS), 1)
        nothing = _median(lambda: self._pull(0), _PULLS)
        return {
            "answer, ms": 1000 * answer,
            "pull of 100 answers, s": fetched,
            "pull of nothing, s": nothing,
            "winnow pulling, MB": peak_mb(),
            "planning, s": _median(lambda: Asked(self.exchange.folder), 1),
        }

    def _answer(self, task: int) -> None:
        result = {
            "from_name": "answer",
            "to_name": "closest",
            "type": "choices",
            "value": {"choices": ["different"]},
        }
        path = f"/api/tasks/{task}/annotations/"
        self._http.post(path, json={"result": [result], "lead_time": 4.0}).raise_for_status()

    def _pull(self, expected: int) -> None:
        pulled = Pull(self.exchange, datetime.now(UTC).isoformat()).run()
        if (pulled.answers, len(pulled.decisions)) != (expected, expected) or pulled.problems:
            raise ReviewError(f"pulled {pulled.answers} answers, not {expected}; run again")

    def _held(self) -> Row:
        database = self._server.settings.data_dir.glob("*.sqlite3*")
        return {
            "server, MB": group_mb(self._server.process.pid),
            "database, MB": sum(file.stat().st_size for file in database) / 1e6,
            "load average": os.getloadavg()[0],
        }

    def _get(self, path: str, query: Row) -> Any:
        answer = self._http.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    def import_tasks(self, project: int, tasks: Sequence[Row]) -> None:
        """Create tasks as the client library does."""
        path = f"/api/projects/{project}/import"
        asked = {"commit_to_project": "true"}
        self._http.post(path, params=asked, json=list(tasks)).raise_for_status()


def bodies(exchange: Exchange, batch: Batch) -> list[Row]:
    """The tasks of a batch as they are sent."""

    def address(name: str) -> str:
        return exchange.addresses.address_of(exchange.folder.path(f"{IMAGES}/{name}"))

    return [imported(task_body(item, address, batch.model)) for item in batch.items]


def _peers(many: Project, count: int) -> list[Row]:
    folder = many.exchange.folder
    tasks: list[Row] = []
    for name in folder.batch_names()[: count // BATCH]:
        tasks += bodies(many.exchange, folder.batch(name))
    project = many.exchange.server.open_project(project_spec(Kind.PAIRS, "peer", 1), None)
    alone = iter(tasks)
    started = time.perf_counter()
    for task in islice(alone, _PEER_ALONE):
        many.import_tasks(project, [task])
    one = time.perf_counter() - started
    started = time.perf_counter()
    many.import_tasks(project, tasks)
    whole = time.perf_counter() - started
    return [
        {"case": "peer: a request per task", "push, questions/s": _PEER_ALONE / one},
        {"case": f"peer: one request of {count:,}", "push, questions/s": count / whole},
    ]


def _median(act: Callable[[], Any], times: int) -> float:
    """Median seconds of doing something."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)
