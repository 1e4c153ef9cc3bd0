"""Which faces of an identity a reviewer sees: the typical one, then the most different ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

GALLERY_SIZE = 12


def select_gallery(
    embeddings: npt.NDArray[np.floating], limit: int = GALLERY_SIZE
) -> npt.NDArray[np.intp]:
    """Pick up to ``limit`` faces that show an identity: the medoid first, then the extremes.

    After the medoid, each next face is the one least similar to all faces picked so far
    (farthest-first traversal, Gonzalez 1985), so a second person hidden in the class is seen
    early. Ties go to the lower index.

    Args:
        embeddings: ``(n, d)``, rows L2-normalised.
        limit: most faces to pick, at least 1.

    Returns:
        ``(min(n, limit),)`` row indices in the order of display.
    """
    rows = np.asarray(embeddings, dtype=np.float32)
    if len(rows) == 0:
        return np.empty(0, dtype=np.intp)
    # For unit rows the sum of cosines to all others is the product with the sum of rows.
    picked = [int(np.argmax(rows @ rows.sum(axis=0)))]
    nearest = rows @ rows[picked[0]]
    nearest[picked[0]] = np.inf
    while len(picked) < min(len(rows), limit):
        farthest = int(np.argmin(nearest))
        picked.append(farthest)
        nearest = np.maximum(nearest, rows @ rows[farthest])
        nearest[farthest] = np.inf
    return np.array(picked, dtype=np.intp)
