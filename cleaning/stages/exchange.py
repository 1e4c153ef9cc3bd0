"""A data set's place on the review server: its projects, and which of them a question is in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from cleaning.review.addresses import Addresses
from cleaning.review.server import ReviewServer
from cleaning.review.tasks import project_spec
from cleaning.stages.review_folder import ReviewFolder
from facedata.errors import IntegrityError
from facedata.options import ReviewOptions
from facedata.review import Kind

IMAGES = "images"
"""Folder of the pictures that questions show, below the review folder."""

_PROJECTS = "projects.json"
_SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What sending and fetching questions needs."""

    folder: ReviewFolder
    server: ReviewServer
    options: ReviewOptions
    addresses: Addresses
    _opened: dict[Kind, int] = field(default_factory=dict, init=False)

    def project(self, kind: Kind) -> int:
        """The project of a kind of question, set up when it is not there yet.

        Raises:
            ReviewError: the server failed.
        """
        if kind in self._opened:
            return self._opened[kind]
        known = self.known_projects()
        spec = project_spec(kind, self._title(kind), self.overlap(kind))
        project = self.server.open_project(spec, known.get(kind))
        if self._noted_projects() != (self.options.url.rstrip("/"), {**known, kind: project}):
            self._note_projects({**known, kind: project})
        served = self.addresses.folder_on_server(self.folder.path(IMAGES))
        if served is not None:
            # The server refuses a folder that is not there yet.
            self.folder.storage.local_path(self.folder.path(IMAGES)).mkdir(
                parents=True, exist_ok=True
            )
            self.server.serve_folder(project, served)
        self._opened[kind] = project
        return project

    def overlap(self, kind: Kind) -> int:
        """How many people answer a question; a senior's word is enough."""
        return 1 if kind == Kind.SENIOR else self.options.overlap

    def known_projects(self) -> dict[Kind, int]:
        """Projects that were set up earlier, by kind.

        On a server at another address they are looked for by their titles: their ids are anybody's
        there.

        Raises:
            IntegrityError: the note about them is damaged.
            ReviewError: the server failed.
        """
        server, projects = self._noted_projects()
        if server in ("", self.options.url.rstrip("/")):
            return projects
        found = {kind: self.server.find_project(self._title(kind)) for kind in projects}
        return {kind: project for kind, project in found.items() if project is not None}

    def name_of(self, project: int) -> str:
        """The name of a project in notes: its id is another's on another server."""
        return f"{self.options.url.rstrip('/')} {project}"

    def _title(self, kind: Kind) -> str:
        return f"{self.options.project or self.folder.dataset}: {kind.value}"

    def _noted_projects(self) -> tuple[str, dict[Kind, int]]:
        """The address of the server with the projects, empty in old notes, and their ids."""
        path = self.folder.path(_PROJECTS)
        if not self.folder.storage.exists(path):
            return "", {}
        try:
            noted = json.loads(self.folder.storage.read(path))
            server = str(noted.pop(_SERVER, ""))
            return server, {Kind(kind): int(project) for kind, project in noted.items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise IntegrityError(
                f"{self.folder.storage.url(path)}: damaged ({error}); remove it, "
                "the projects are found again by their titles"
            ) from error

    def _note_projects(self, projects: dict[Kind, int]) -> None:
        noted: dict[str, int | str] = {
            kind.value: project for kind, project in sorted(projects.items())
        }
        noted[_SERVER] = self.options.url.rstrip("/")
        self.folder.storage.write(self.folder.path(_PROJECTS), json.dumps(noted).encode())
