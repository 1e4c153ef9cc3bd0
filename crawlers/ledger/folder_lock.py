"""One crawl at a time in a folder."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import BinaryIO

from facedata.errors import CrawlError

_ASK_AGAIN_S = 0.1


def lock_folder(folder: Path, patience_s: float) -> BinaryIO:
    """Keep other crawls out of ``folder`` until the file that is returned is closed.

    The operating system lets go of the lock when the process ends, however it ends. An earlier
    crawl may be about to end, so this waits for ``patience_s`` seconds.

    Raises:
        CrawlError: when another crawl still holds it then.
        OSError: when the folder cannot be written to.
    """
    deadline = time.monotonic() + patience_s
    stream = (folder / "lock").open("wb")
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                stream.close()
                raise CrawlError(
                    f"another crawl is writing to {folder}; wait for it or choose another folder"
                ) from error
            time.sleep(_ASK_AGAIN_S)
        else:
            return stream
