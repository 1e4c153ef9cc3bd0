"""Addresses under which an annotator's browser finds files of the workspace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import quote, urlsplit

from facedata.errors import RecipeError
from facedata.options import ImageOptions
from facedata.storage import Storage

_AddressOf: TypeAlias = Callable[[str], str]


class Addresses:
    """Addresses of files, by the recipe's ``review.images``.

    ``valid_for_seconds`` is how long an address works from when it was made; None when it does
    not expire.
    """

    def __init__(self, options: ImageOptions, storage: Storage) -> None:
        """Check that the way of serving fits the workspace.

        Raises:
            RecipeError: when the workspace is not below the document root, or ``base_url`` is
                not an address that a path can follow.
            WorkspaceError: when the storage is not local, or cannot sign, where it has to.
        """
        self._storage = storage
        self._options = options
        self._address_of = _WAYS[options.serve](options, storage)
        self.valid_for_seconds = _seconds(options) if options.serve == "presigned" else None

    def address_of(self, path: str) -> str:
        """The address of a file, percent-encoded; ``path`` is relative to the workspace.

        Raises:
            StorageError: when the path would leave the workspace.
        """
        return self._address_of(path)

    def folder_on_server(self, path: str) -> str | None:
        """The folder to let the review server read, as its disk knows it; None when it needs none.

        The server compares paths as text, so this one begins with its document root as given.
        """
        if self._options.serve != "local-files":
            return None
        root = self._options.document_root or self._storage.root
        below = _below_document_root(self._options, self._storage) / _checked(self._storage, path)
        return str(Path(root).absolute() / below)


def _local_files(options: ImageOptions, storage: Storage) -> _AddressOf:
    workspace = _below_document_root(options, storage)

    def address_of(path: str) -> str:
        return f"/data/local-files/?d={_encoded(workspace / _checked(storage, path))}"

    return address_of


def _below_document_root(options: ImageOptions, storage: Storage) -> PurePosixPath:
    """The workspace's path below the server's document root, links resolved."""
    workspace = storage.local_path("").resolve()
    root = Path(options.document_root).resolve() if options.document_root else workspace
    if not workspace.is_relative_to(root):
        raise RecipeError(
            f"review.images: the workspace {workspace} is not below document_root {root}, from "
            "where the review server gives files; move the workspace there, start the server with "
            "LOCAL_FILES_DOCUMENT_ROOT above the workspace, or choose serve: http or presigned"
        )
    return PurePosixPath(workspace.relative_to(root))


def _http(options: ImageOptions, storage: Storage) -> _AddressOf:
    base = (options.base_url or "").rstrip("/")
    parts = urlsplit(base)
    usable = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    if not usable or "?" in base or "#" in base:
        raise RecipeError(
            f"review.images.base_url: {options.base_url!r} cannot be followed by a path; "
            "give http(s)://host/path without user name, ? and #"
        )

    def address_of(path: str) -> str:
        return f"{base}/{_encoded(_checked(storage, path))}"

    return address_of


def _presigned(options: ImageOptions, storage: Storage) -> _AddressOf:
    seconds = _seconds(options)
    # A storage that cannot sign is found before anything is sent.
    storage.sign("review", seconds)

    def address_of(path: str) -> str:
        return storage.sign(path, seconds)

    return address_of


_WAYS: dict[str, Callable[[ImageOptions, Storage], _AddressOf]] = {
    "local-files": _local_files,
    "http": _http,
    "presigned": _presigned,
}


def _checked(storage: Storage, path: str) -> PurePosixPath:
    storage.path(path)
    return PurePosixPath(path)


def _encoded(path: PurePosixPath) -> str:
    # File names are bytes: those that are not UTF-8 reach a server as they are.
    return quote(str(path), errors="surrogateescape")


def _seconds(options: ImageOptions) -> int:
    return max(1, round(options.hours * 3600))
