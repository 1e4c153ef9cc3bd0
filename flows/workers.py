"""How many partitions run at once on this machine."""

from __future__ import annotations

import os


def worker_count() -> int:
    """One per processor core that this process may use; each runs its models on one thread."""
    return max(1, len(os.sched_getaffinity(0)))
