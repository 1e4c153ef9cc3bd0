"""Label Studio as the review server; the one module that knows its client library.

Its typed calls do what is rare. What they cannot do goes through the library's HTTP client, in
``label_studio_connection``; listing tasks is in ``label_studio_tasks``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cleaning.review.label_studio_connection import TOKEN_VARIABLE, Connection, RefusedError
from cleaning.review.label_studio_json import project_settings, task_body, task_list
from cleaning.review.label_studio_tasks import PAGE_SIZE, TaskList
from cleaning.review.server import JsonObject, ProjectSpec, ServerTask, TaskBody
from facedata.errors import ProjectGoneError, RequestError, ReviewError

IMPORT_SIZE = 250
REMOVE_SIZE = 500

_READ_SECONDS, _IMPORT_SECONDS = 60, 300
_EVENTS = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED")

T = TypeVar("T")


def connect(url: str, token: str, patience: float = 60.0) -> LabelStudioServer:
    """Return the server at ``url``; nothing is sent yet.

    ``patience`` is for how many seconds a request that may pass is repeated. Raises
    ``RequestError`` when the address or the token cannot be one.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise RequestError(f"review.url: {url!r} is not an http(s) address")
    if not token:
        raise RequestError(
            f"{TOKEN_VARIABLE} is not set; copy your token from Account & Settings on {url}"
        )
    return LabelStudioServer(url.rstrip("/"), token, patience)


class LabelStudioServer:
    """A ``ReviewServer``; see there for what each method promises."""

    def __init__(self, url: str, token: str, patience: float) -> None:
        from label_studio_sdk import LabelStudio

        self._url = url
        self._sdk = LabelStudio(base_url=url, api_key=token, timeout=_READ_SECONDS, max_retries=0)
        self._connection = Connection(url, self._sdk._client_wrapper.httpx_client, patience)
        self._tasks = TaskList(self._connection)

    def version(self) -> str:
        """Return the server's release, for example ``1.23.2``."""
        return str(self._ask(lambda: self._read("api/version"))["release"])

    def account(self) -> str:
        """Return the e-mail of the account that the token belongs to."""
        return str(self._ask(lambda: self._read("api/current-user/whoami"))["email"])

    # --- projects ---------------------------------------------------------------------------

    def open_project(self, spec: ProjectSpec, known_id: int | None) -> int:
        """Return the id of the project, found by id, else by title, else created."""
        found = self._find_project(spec.title, known_id)
        wanted = project_settings(spec)
        if found is None:
            project = self._ask(lambda: self._make_project(spec.title, wanted))
        else:
            project = int(found["id"])
            self._update(project, {k: v for k, v in wanted.items() if found.get(k) != v})
        self._ask(lambda: self._make_list(project, spec.hidden), project)
        return project

    def find_project(self, title: str) -> int | None:
        """Return the id of the project with a title; None when there is none."""
        found = self._ask(lambda: self._titled(title))
        return None if found is None else int(found["id"])

    def project_url(self, project: int) -> str:
        """Where people open the project."""
        return f"{self._url}/projects/{project}/data"

    def _find_project(self, title: str, known_id: int | None) -> JsonObject | None:
        if known_id is not None:
            try:
                found = self._ask(lambda: self._read(f"api/projects/{known_id}/"), known_id)
            except ProjectGoneError:
                found = None
            if found is not None:
                return dict(found)
        return self._ask(lambda: self._titled(title))

    def _titled(self, title: str) -> JsonObject | None:
        alike = self._read("api/projects/", {"title": title, "page_size": PAGE_SIZE})["results"]
        same = [one for one in alike if one["title"] == title]
        return dict(min(same, key=lambda one: int(one["id"]))) if same else None

    def _make_project(self, title: str, wanted: JsonObject) -> int:
        # Looked for again: a request that died, and is repeated, may have made it.
        found = self._titled(title)
        return int(found["id"] if found else self._sdk.projects.create(title=title, **wanted).id)

    def _update(self, project: int, changed: JsonObject) -> None:
        page = changed.pop("label_config", None)
        if page is not None:
            self._restore_page(project, page)
        if changed:
            self._ask(lambda: self._sdk.projects.update(project, **changed), project)

    def _make_list(self, project: int, hidden: Sequence[str]) -> None:
        # People may have arranged the list to their liking: it is only made, never changed.
        if not self._read("api/dm/views/", {"project": project}):
            self._connection.send("POST", "api/dm/views/", None, task_list(project, hidden))

    def _restore_page(self, project: int, page: str) -> None:
        try:
            self._ask(lambda: self._sdk.projects.update(project, label_config=page), project)
        except ProjectGoneError:
            raise
        except ReviewError as error:
            raise ReviewError(
                f"{self.project_url(project)}: its labelling page was edited by hand and cannot be "
                f"put back ({error}); restore the names of its controls in the project's settings"
            ) from error

    # --- tasks ------------------------------------------------------------------------------

    def count_tasks(self, project: int) -> int:
        """How many tasks with a key the project holds."""
        return self._tasks.count(project)

    def task_ids(self, project: int) -> dict[str, int]:
        """Task id of every key in the project; the first task of a key that is there twice."""
        return self._tasks.ids(project)

    def changed_tasks(self, project: int, since: str | None) -> Iterator[ServerTask]:
        """Tasks with annotations, or that lost theirs, changed at or after ``since``, by id.

        Changes of the last five seconds before ``since`` come again.
        """
        return self._tasks.changed(project, since)

    def add_tasks(self, project: int, tasks: Sequence[TaskBody]) -> int:
        """Create tasks, in order, in requests of bounded size; those already there are left out.

        The server is asked which keys it has before every request, and before a request is
        repeated: one that died may have been taken. Returns how many were not there.
        """
        added: set[str] = set()
        for start in range(0, len(tasks), IMPORT_SIZE):
            chunk = tasks[start : start + IMPORT_SIZE]
            self._ask(partial(self._import_missing, project, chunk, added), project)
        return len(added)

    def _import_missing(self, project: int, chunk: Sequence[TaskBody], added: set[str]) -> None:
        present = self._tasks.present(project, [task.key for task in chunk])
        missing = [task for task in chunk if task.key not in present]
        if missing:
            bodies = [task_body(task) for task in missing]
            added.update(task.key for task in missing)
            self._sdk.projects.import_tasks(
                project,
                request=bodies,
                commit_to_project=True,
                request_options={"timeout": _IMPORT_SECONDS},
            )

    def replace_data(self, project: int, data: Mapping[int, JsonObject]) -> None:
        """Give tasks other data, by task id; a task that is gone is passed over."""
        for task, body in data.items():
            try:
                self._ask(partial(self._sdk.tasks.update, str(task), data=body), project)
            except ProjectGoneError:
                self._ask(partial(self._read, f"api/projects/{project}/"), project)

    def remove_tasks(self, project: int, task_ids: Sequence[int]) -> None:
        """Delete tasks with all that belongs to them; those that are gone are passed over."""
        action = {"id": "delete_tasks", "project": project}
        for start in range(0, len(task_ids), REMOVE_SIZE):
            chosen = {"all": False, "included": list(task_ids[start : start + REMOVE_SIZE])}
            body = {"selectedItems": chosen}
            self._ask(
                partial(self._connection.send, "POST", "api/dm/actions/", action, body), project
            )

    # --- files and webhooks -----------------------------------------------------------------

    def serve_folder(self, project: int, folder: str) -> None:
        """Let the server give files below ``folder`` (a path on its disk) to the annotators."""
        storage = self._sdk.import_storage.local
        there = self._ask(lambda: storage.list(project=project), project)
        if any(PurePath(one.path or "") == PurePath(folder) for one in there):
            return
        self._ask(
            lambda: storage.create(project=project, path=folder, title="Faces", use_blob_urls=True),
            project,
        )

    def set_webhook(self, project: int, url: str, headers: Mapping[str, str]) -> int:
        """Have the server post to ``url`` when an annotation changes; returns the webhook's id."""
        return self._ask(lambda: self._replace_webhook(project, url, dict(headers)), project)

    def _replace_webhook(self, project: int, url: str, headers: JsonObject) -> int:
        for there in self._read("api/webhooks/", {"project": project}):
            if there["url"] == url:
                self._sdk.webhooks.delete(there["id"])
        made = self._sdk.webhooks.create(
            url=url,
            project=project,
            headers=headers,
            actions=list(_EVENTS),
            send_payload=True,
            send_for_all_actions=False,
        )
        return int(made.id or 0)

    def remove_webhook(self, webhook: int) -> None:
        """Take a webhook back; nothing happens when it is gone."""
        try:
            self._ask(lambda: self._sdk.webhooks.delete(webhook), webhook)
        except ProjectGoneError:
            return

    # --- requests ---------------------------------------------------------------------------

    def _read(self, path: str, asked: JsonObject | None = None) -> Any:
        return self._connection.read(path, asked)

    def _ask(self, ask: Callable[[], T], project: int | None = None) -> T:
        return self._connection.ask(partial(_refused_plainly, ask), project)


def _refused_plainly(ask: Callable[[], T]) -> T:
    """Return what ``ask`` returns; the library's error goes no further than this module."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        return ask()
    except ApiError as error:
        raise RefusedError(error.status_code, error.body) from error
