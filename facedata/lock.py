"""One build at a time in a workspace, training in turns, one hand at a time on what is shared."""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from facedata.errors import WorkspaceError
from facedata.storage import TEMPORARY, Storage

_LOCK = "winnow.lock"
_TRAINING = "training"
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
    lock = f"training/promotion-{dataset}.lock"
    with _hold(storage, lock, patience, doing=f"is promoting a model of {dataset!r}"):
        yield


@contextmanager
def hold_training(home: Storage, run: str, say: Callable[[str], None]) -> Iterator[None]:
    """Wait for the turn to train below a local folder, and keep others out until the block ends.

    ``run`` is the run's folder below ``training``: while it is trained, or waits for its turn, no
    other process trains it. What a killed one left half-written in it is removed. ``say`` is told
    who is waited for, however long that takes.

    Raises:
        WorkspaceError: when another process trains the same run, or the folder cannot be written
            to.
    """
    own = f"{_TRAINING}/{run}"
    with _hold(home, f"{own}/{_LOCK}", patience=0.0, doing=f"trains {run}, or is to do so next"):
        home.remove_abandoned(f"{own}/{TEMPORARY}")
        turn = f"{_TRAINING}/{_LOCK}"
        owner = who_trains(home)
        if owner is not None:
            say(f"waiting for process {owner}, which trains in {home.root}")
        with _hold(home, turn, patience=math.inf, doing="trains", note=f" ({run})"):
            yield


def who_trains(home: Storage) -> str | None:
    """The process that trains below a local folder now, and its run; None when there is none."""
    path = home.local_path(f"{_TRAINING}/{_LOCK}")
    if not path.exists():
        return None
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return stream.read().decode("utf-8", "replace").strip() or "unknown"
    return None


@contextmanager
def _hold(
    storage: Storage, name: str, patience: float, doing: str, note: str = ""
) -> Iterator[None]:
    if not storage.is_local:
        yield
        return
    # An empty append makes the folder and the file, with the storage's own errors.
    storage.append(name, b"")
    path = storage.local_path(name)
    with path.open("r+b") as stream:
        if not _locked(stream, patience):
            owner = path.read_text("utf-8", "replace").strip()
            raise WorkspaceError(
                f"workspace {storage.root}: process {owner or 'unknown'} {doing}; "
                "wait for it to end, or use another workspace"
            )
        stream.truncate(0)
        stream.write(f"{os.getpid()}{note}".encode())
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
