"""How many tasks the server should hold: whether people deleted any is seen by counting them.

Listing a project takes a second per thousand tasks, counting them takes one request.
"""

from __future__ import annotations

import json

from cleaning.stages.exchange import Exchange
from facedata.review import Kind

_SENT = "sent.json"


class SentTasks:
    """The tasks of each project, as they were left by the last push and as they are now."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._noted = self._read()
        self._now: dict[str, int] = dict(self._noted)
        self._whole: dict[Kind, bool] = {}
        self._ids: dict[Kind, dict[str, int]] = {}

    def is_whole(self, kind: Kind) -> bool:
        """Whether the project of a kind holds as many tasks as it was left with.

        Raises:
            ReviewError: the server failed.
        """
        if kind not in self._whole:
            project = self._exchange.project(kind)
            name = self._exchange.name_of(project)
            count = self._exchange.server.count_tasks(project)
            self._whole[kind] = count == self._noted.get(name)
            # Counted before anything is listed: what is deleted in between shows next time.
            self._now[name] = count
        return self._whole[kind]

    def ids(self, kind: Kind) -> dict[str, int]:
        """Task id of every key in the project of a kind, as it was before this push.

        Raises:
            ReviewError: the server failed.
        """
        if kind not in self._ids:
            self._ids[kind] = self._exchange.server.task_ids(self._exchange.project(kind))
        return self._ids[kind]

    def add(self, kind: Kind, tasks: int) -> None:
        """Count tasks that were sent."""
        name = self._exchange.name_of(self._exchange.project(kind))
        self._now[name] = self._now.get(name, 0) + tasks

    def note(self) -> None:
        """Note how many there are, for the next push."""
        if self._now != self._noted:
            self._write()

    def _read(self) -> dict[str, int]:
        path = self._exchange.folder.path(_SENT)
        storage = self._exchange.folder.storage
        noted: dict[str, int] = json.loads(storage.read(path)) if storage.exists(path) else {}
        return noted

    def _write(self) -> None:
        data = json.dumps(self._now, indent=1, sort_keys=True).encode()
        self._exchange.folder.storage.write(self._exchange.folder.path(_SENT), data)
