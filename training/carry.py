"""Class centres follow their identity from one version of a data set to the next.

A class index belongs to an identity for ever, so within one data set most rows stay where they
are; they are nevertheless matched by name, which also holds when a set was released anew elsewhere.

- An identity that is in both versions keeps its centre.
- One that is new gets a random centre, as at the start of a run.
- Of identities merged into one, the one that kept its name keeps its centre. A mean weighted by
  photos would lie between two clusters that training pushed apart; the larger class's centre is
  where most of the merged photos are (a merge keeps the name with the most photos), and the others
  come to it within a few steps.
- No centre outlives its identity: the row of one that is retired, merged away or removed, is
  filled like a new one. The centre of a merged-away name would be the strongest negative of photos
  that are now another's, and that of somebody removed is a face template. Who comes back is new.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

NEW = -1
"""A class that takes no row of the earlier version."""


class Classes(Protocol):
    """Who has which class index, as a ``facedata.versions.Manifest``."""

    @property
    def identities(self) -> dict[str, int]: ...

    @property
    def retired(self) -> dict[str, int]: ...


def source_rows(earlier: Classes, later: Classes) -> NDArray[np.int64]:
    """For every class index of ``later``, (classes,) int64, its row in ``earlier`` or ``NEW``."""
    indices = [*later.identities.values(), *later.retired.values()]
    sources = np.full(max(indices, default=-1) + 1, NEW, dtype=np.int64)
    for name, index in later.identities.items():
        sources[index] = earlier.identities.get(name, NEW)
    return sources
