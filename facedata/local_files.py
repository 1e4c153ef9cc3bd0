"""A file on the local disk that is there whole or not at all.

It is written under a temporary name, which names the process, and moved to its place. What a
killed process leaves behind is told by its name.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def open_whole(path: Path, waiting: Path) -> Iterator[BinaryIO]:
    """A stream to write a file through; it is at ``path`` once the block ends well.

    Until then it lies in the folder ``waiting``, which is on the same disk. Folders are made.

    Raises:
        OSError: as the file system does; the half-written file is then removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = _temporary_file(waiting)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.chmod(0o666 & ~_UMASK)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def is_abandoned(name: str) -> bool:
    """Whether the process that a temporary file is named after is gone, or it names none."""
    return not _is_running(name.split("-", 1)[0])


def _temporary_file(folder: Path) -> tuple[int, str]:
    """A new file that names this process; made again if another one clears the folder meanwhile."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return tempfile.mkstemp(dir=folder, prefix=f"{os.getpid()}-")
        except FileNotFoundError:
            continue


def _is_running(pid: str) -> bool:
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


# Asked once: to ask is to change it for a moment, in which another thread would ask too.
_UMASK = _umask()
