"""Which faces of an identity a reviewer sees: the typical one, then the most different ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

GALLERY_SIZE = 12

_ABOUT_AS_FAR = 0.1
"""Cosine within which two faces count as about as different from those shown already."""


def select_gallery(
    embeddings: npt.NDArray[np.floating],
    limit: int = GALLERY_SIZE,
    source: npt.NDArray[np.generic] | None = None,
) -> npt.NDArray[np.intp]:
    """Pick up to ``limit`` faces that show an identity: the medoid first, then the extremes.

    After the medoid, each next face is the one least similar to all faces picked so far
    (farthest-first traversal, Gonzalez 1985), so a second person hidden in the class is seen
    early. Among faces that are about as far, within 0.1 of cosine, one from the source shown
    least so far comes first. Ties go to the lower index.

    Args:
        embeddings: ``(n, d)``, rows L2-normalised.
        limit: most faces to pick, at least 1.
        source: ``(n,)`` where each face's photo is from, as names or numbers; without it, all
            count as one source.

    Returns:
        ``(min(n, limit),)`` row indices in the order of display.
    """
    rows = np.asarray(embeddings, dtype=np.float32)
    if len(rows) == 0:
        return np.empty(0, dtype=np.intp)
    codes = np.zeros(len(rows), dtype=np.intp)
    if source is not None:
        codes = np.unique(source, return_inverse=True)[1].astype(np.intp)
    # For unit rows the sum of cosines to all others is the product with the sum of rows.
    picked = [int(np.argmax(rows @ rows.sum(axis=0)))]
    shown = np.bincount(codes[picked], minlength=codes.max() + 1)
    nearest = rows @ rows[picked[0]]
    nearest[picked[0]] = np.inf
    while len(picked) < min(len(rows), limit):
        about_as_far = np.flatnonzero(nearest <= nearest.min() + _ABOUT_AS_FAR)
        order = np.lexsort((nearest[about_as_far], shown[codes[about_as_far]]))
        chosen = int(about_as_far[order[0]])
        picked.append(chosen)
        shown[codes[chosen]] += 1
        nearest = np.maximum(nearest, rows @ rows[chosen])
        nearest[chosen] = np.inf
    return np.array(picked, dtype=np.intp)
