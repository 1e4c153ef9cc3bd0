"""A process that must not outlive the one that started it."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def follow_parent(number: signal.Signals) -> None:
    """Have the system send ``number`` to this process when the one that started it dies.

    It outlasts exec and is not inherited. For the system the parent is the thread that started this
    process: that must live as long as this is to. Linux only (prctl(2), PR_SET_PDEATHSIG);
    elsewhere nothing happens.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
