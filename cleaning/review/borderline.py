"""Which photos near the cut people look at: those whose outcome is the most doubtful."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def pick_borderline(
    similarity: npt.NDArray[np.floating], kept: npt.NDArray[np.bool_], cut: float, budget: int
) -> npt.NDArray[np.int64]:
    """Pick the photos nearest to the cut, kept and dropped by turns.

    Kept photos far outnumber dropped ones, so that the nearest alone would often show one kind
    only: the budget is shared between the two, and what one does not use goes to the other.

    Args:
        similarity: ``(n,)`` cosine to the centre of the main cluster; photos with NaN are never
            picked.
        kept: ``(n,)`` whether the photo would be released.
        cut: the cosine at which photos are told apart.
        budget: most photos to pick.

    Returns:
        Rows, at most ``budget``, nearest to the cut first; ties by row.
    """
    doubt = np.abs(np.asarray(similarity, dtype=np.float64) - cut)
    rows = np.flatnonzero(~np.isnan(doubt))
    rows = rows[np.argsort(doubt[rows], kind="stable")]
    # The first of each kind, then the second of each kind, and so on; the nearer one first.
    is_kept = np.asarray(kept, dtype=bool)[rows]
    turn = np.where(is_kept, np.cumsum(is_kept), np.cumsum(~is_kept))
    picked = np.sort(np.argsort(turn, kind="stable")[: max(budget, 0)])
    return rows[picked].astype(np.int64)
