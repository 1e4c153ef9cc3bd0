"""What a review server is to Winnow: projects, tasks and the annotations people make.

Plain values, so that the client library's types go no further than the module that wraps it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSpec:
    """How a project is set up.

    ``overlap`` annotators answer each task; ``allow_empty`` lets them submit without a click.
    ``hidden`` are fields of the tasks' data that the list of tasks does not show.
    """

    title: str
    label_config: str
    instruction: str
    overlap: int
    allow_empty: bool
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBody:
    """A task to create: ``key`` finds its question again and is in ``data`` under ``key`` too.

    ``prediction`` is the machine's answer as a list of results, with its ``score`` in [0, 1].
    """

    key: str
    data: JsonObject
    prediction: tuple[JsonObject, ...] = ()
    score: float = 0.0
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One person's answer as the server holds it.

    ``annotator`` is the person's e-mail or name, ``answered_at`` when it was last changed (ISO
    8601, UTC), ``result`` the server's list of results, ``seconds`` the time spent, ``skipped``
    whether the person passed the task over.
    """

    id: str
    annotator: str
    answered_at: str
    result: tuple[JsonObject, ...]
    seconds: float | None = None
    skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTask:
    """A task on the server; ``key`` is empty when somebody added it by hand."""

    id: int
    key: str
    updated_at: str
    annotations: tuple[Annotation, ...]


class ReviewServer(Protocol):
    """The server, by what Winnow needs from it.

    Every method retries what may pass (connection lost, 5xx, 429) for a while, and then raises
    ``ReviewError``; a refused token is a ``RequestError``; a project that is gone is a
    ``ProjectGoneError``.
    """

    def open_project(self, spec: ProjectSpec, known_id: int | None) -> int:
        """Return the id of the project, found by id, else by title, else created.

        Its settings are brought up to date where they differ.
        """
        ...

    def project_url(self, project: int) -> str:
        """Where people open the project."""
        ...

    def find_project(self, title: str) -> int | None:
        """Return the id of the project with a title; None when there is none."""
        ...

    def count_tasks(self, project: int) -> int:
        """How many tasks with a key the project holds; much quicker than listing them."""
        ...

    def task_ids(self, project: int) -> dict[str, int]:
        """Task id of every key in the project."""
        ...

    def add_tasks(self, project: int, tasks: Sequence[TaskBody]) -> int:
        """Create tasks, in order, in requests of bounded size; those already there are left out.

        Returns how many were not there.
        """
        ...

    def replace_data(self, project: int, data: Mapping[int, JsonObject]) -> None:
        """Give tasks other data, by task id."""
        ...

    def remove_tasks(self, project: int, task_ids: Sequence[int]) -> None:
        """Delete tasks with all that belongs to them."""
        ...

    def changed_tasks(self, project: int, since: str | None) -> Iterator[ServerTask]:
        """Tasks with annotations, or that lost theirs, changed at or after ``since``."""
        ...

    def serve_folder(self, project: int, folder: str) -> None:
        """Let the server give files below ``folder`` (a path on its disk) to the annotators."""
        ...

    def set_webhook(self, project: int, url: str, headers: Mapping[str, str]) -> int:
        """Have the server post to ``url`` when an annotation changes; returns the webhook's id."""
        ...

    def remove_webhook(self, webhook: int) -> None:
        """Take a webhook back; nothing happens when it is gone."""
        ...
