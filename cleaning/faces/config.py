"""The faces stage's configuration."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from cleaning.faces.decode import DecodeLimits


def usable_cores() -> int:
    """Processor cores that this process may use, at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FacesConfig:
    """What counts as a face, and how much is done at once.

    ``min_score`` in [0, 1] of the detector; ``min_size`` pixels of a box's shorter side: smaller
    faces get no row; ``det_size`` pixels of the longer side that photos are shrunk to for the
    detector, None for the model's own. ``threads`` and ``batch_size`` (None: chosen by device)
    change the speed, never the result.
    """

    min_score: float = 0.5
    min_size: float = 32.0
    det_size: int | None = None
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    threads: int = field(default_factory=usable_cores)
    batch_size: int | None = None
