"""One build at a time in a workspace, and one hand at a time on a review or a promotion."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from facedata.errors import WorkspaceError
from facedata.storage import TEMPORARY, Storage

_LOCK = "winnow.lock"
_ASK_AGAIN_SECONDS = 0.1


@contextmanager
def hold_workspace(storage: Storage) -> Iterator[None]:
    """Keep other builds out of a local workspace until the block ends.

    The operating system lets go of the lock when the process ends, however it ends. What a killed
    build left half-written is removed. A workspace on an object store is not locked: let its
    scheduler run one build at a time.

    Raises:
        WorkspaceError: when another build is at work, or the workspace cannot be written to.
    """
    with _hold(storage, _LOCK, patience=0.0, doing="is building in it"):
        storage.remove_abandoned(TEMPORARY)
        yield


@contextmanager
def hold_review(storage: Storage, dataset: str, patience: float = 120.0) -> Iterator[None]:
    """Keep others from sending and fetching a data set's questions until the block ends.

    Whoever holds it is done soon, so this waits for ``patience`` seconds. As with
    ``hold_workspace``, a workspace on an object store is not locked.

    Raises:
        WorkspaceError: when it is still held after that, or cannot be written to.
    """
    lock = f"review/{dataset}/lock"
    with _hold(storage, lock, patience, doing=f"is exchanging the review of {dataset!r}"):
        yield


@contextmanager
def hold_models(storage: Storage, dataset: str, patience: float = 120.0) -> Iterator[None]:
    """Keep others from naming a data set's current model, or telling of it, until the block ends.

    Whoever holds it is done soon, so this waits for ``patience`` seconds.

    Raises:
        WorkspaceError: when it is still held after that, or cannot be written to.
    """
    lock = f"training/{dataset}.lock"
    with _hold(storage, lock, patience, doing=f"is promoting a model of {dataset!r}"):
        yield


@contextmanager
def _hold(storage: Storage, name: str, patience: float, doing: str) -> Iterator[None]:
    if not storage.is_local:
        yield
        return
    # An empty append makes the folder and the file, with the storage's own errors.
    storage.append(name, b"")
    path = storage.local_path(name)
    with path.open("r+b") as stream:
        if not _locked(stream, patience):
            owner = path.read_text("ascii", "replace").strip()
            raise WorkspaceError(
                f"workspace {storage.root}: process {owner or 'unknown'} {doing}; "
                "wait for it to end, or use another workspace"
            )
        stream.truncate(0)
        stream.write(str(os.getpid()).encode())
        stream.flush()
        yield


def _locked(stream: BinaryIO, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_ASK_AGAIN_SECONDS)
        else:
            return True
