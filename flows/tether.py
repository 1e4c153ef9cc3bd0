"""``python -m flows.tether PARENT COMMAND…``: become a command that ends when its parent dies.

The command gets SIGTERM when the process ``PARENT``, which started this, is gone. Popen's
``preexec_fn`` could do it as well, but may deadlock in a process with threads, as Prefect's are.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from facedata.parent import follow_parent


def main(arguments: Sequence[str]) -> None:
    """Become the command; return when the parent is gone already."""
    parent, *command = arguments
    follow_parent(signal.SIGTERM)
    if os.getppid() == int(parent):
        os.execv(command[0], command)


def tethered(command: Sequence[str]) -> list[str]:
    """The command line that starts ``command``, its first word a path, tied to this process."""
    return [sys.executable, "-m", "flows.tether", str(os.getpid()), *command]


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.exit(1)
