"""One build at a time in a workspace."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from facedata.errors import WorkspaceError
from facedata.storage import TEMPORARY, Storage

_LOCK = "winnow.lock"


@contextmanager
def hold_workspace(storage: Storage) -> Iterator[None]:
    """Keep other builds out of a local workspace until the block ends.

    The operating system lets go of the lock when the process ends, however it ends. What a killed
    build left half-written is removed. A workspace on an object store is not locked: let its
    scheduler run one build at a time.

    Raises:
        WorkspaceError: when another build is at work, or the workspace cannot be written to.
    """
    if not storage.is_local:
        yield
        return
    # An empty append makes the folder and the file, with the storage's own errors.
    storage.append(_LOCK, b"")
    path = storage.local_path(_LOCK)
    with path.open("r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = path.read_text("ascii", "replace").strip()
            raise WorkspaceError(
                f"workspace {storage.root}: process {owner or 'unknown'} is building in it; "
                "wait for it to end, or use another workspace"
            ) from error
        stream.truncate(0)
        stream.write(str(os.getpid()).encode())
        stream.flush()
        storage.remove(TEMPORARY)
        yield
