"""The tasks of a Label Studio project: how many, under which keys, and what people answered.

A project has up to 50,000 tasks, and the library's own call cannot leave fields out: these are
requests of our own, and the Data Manager of the server does the filtering.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from cleaning.review.label_studio_connection import Connection
from cleaning.review.label_studio_json import Filter, key_of, server_task, task_query, utc
from cleaning.review.server import JsonObject, ServerTask

PAGE_SIZE = 1000
ANNOTATED_PAGE_SIZE = 250
KEYS_PER_QUESTION = 125  # they travel in the address, and proxies take 8 KB of it
OVERLAP = timedelta(seconds=5)  # a change may become visible a little after its time

# The server applies the list to nested objects as well, so it names the annotations' fields too.
_ANNOTATED = "id,data,updated_at,annotations,result,completed_by,lead_time,was_cancelled"


class TaskList:
    """The tasks of a server's projects, to read; errors as ``Connection.ask`` has them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._people: dict[int, str] = {}

    def count(self, project: int) -> int:
        """How many tasks with a key the project holds."""
        keyed: Filter = ("data.key", "regex", "String", ".")
        asked = task_query(project, (keyed,), "id", 1)
        ask = self._connection.ask
        return int(ask(lambda: self._connection.read("api/tasks/", asked), project)["total"])

    def ids(self, project: int) -> dict[str, int]:
        """Task id of every key in the project; the first task of a key that is there twice."""
        ids: dict[str, int] = {}
        for task in self._pages(project, (), "id,data", PAGE_SIZE):
            key = key_of(task)
            if key:
                ids.setdefault(key, int(task["id"]))
        return ids

    def present(self, project: int, keys: Sequence[str]) -> set[str]:
        """Which of ``keys`` the project has; not repeated, for it is part of what is."""
        present: set[str] = set()
        for start in range(0, len(keys), KEYS_PER_QUESTION):
            asked = list(keys[start : start + KEYS_PER_QUESTION])
            having: Filter = ("data.key", "in_list", "List", asked)
            present.update(map(key_of, self._page(project, (having,), "id,data", PAGE_SIZE)))
        return present

    def changed(self, project: int, since: str | None) -> Iterator[ServerTask]:
        """Tasks with annotations, or that lost theirs, changed at or after ``since``, by id.

        The server notes who changed a task when an annotation is made, changed or deleted, and
        not when the task's data is replaced. Changes of the last five seconds before ``since``
        come again.
        """
        filters: list[Filter] = [("updated_by", "empty", "List", "false")]
        if since is not None:
            start = datetime.fromisoformat(since).astimezone(UTC) - OVERLAP
            filters.append(("updated_at", "greater_or_equal", "Datetime", utc(start)))
        for task in self._pages(project, filters, _ANNOTATED, ANNOTATED_PAGE_SIZE):
            if task["annotations"] or since is not None:
                yield server_task(task, self._person)

    def _person(self, user: int | None) -> str:
        if user is None:
            return "somebody deleted"
        if user not in self._people:
            users = self._connection.ask(lambda: self._connection.read("api/users/"))
            self._people.update((int(one["id"]), one["email"] or one["username"]) for one in users)
        return self._people.setdefault(user, f"user {user}")

    def _pages(
        self, project: int, filters: Sequence[Filter], fields: str, size: int
    ) -> Iterator[JsonObject]:
        """Tasks by id. A page starts after the last id seen: tasks may change meanwhile."""
        last = 0
        while True:
            after: Filter = ("id", "greater", "Number", last)
            wanted = (*filters, after)
            asked = partial(self._page, project, wanted, fields, size)
            page = self._connection.ask(asked, project)
            yield from page
            if len(page) < size:
                return
            last = int(page[-1]["id"])

    def _page(
        self, project: int, filters: Sequence[Filter], fields: str, size: int
    ) -> list[JsonObject]:
        asked = task_query(project, filters, fields, size)
        tasks: list[JsonObject] = self._connection.read("api/tasks/", asked)["tasks"]
        return tasks
