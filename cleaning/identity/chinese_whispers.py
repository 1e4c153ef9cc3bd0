"""Chinese whispers: randomised label propagation on the graph of similar faces.

Source: Biemann, "Chinese Whispers: an efficient graph clustering algorithm", TextGraphs 2006.
"""

from __future__ import annotations

import numpy as np

from cleaning.identity.faceset import FloatArray, IntArray

_MAX_SWEEPS = 30
_VISIT_SEED = 0


def chinese_whispers(embeddings: FloatArray, threshold: float) -> IntArray:
    """Give each face the label with the greatest summed similarity among its neighbours.

    Neighbours are faces with a similarity of at least ``threshold``. The visiting order is
    drawn from a fixed seed, so that the same rows always give the same labels.
    """
    rows = len(embeddings)
    labels = np.arange(rows, dtype=np.int64)
    similarity = embeddings @ embeddings.T
    np.fill_diagonal(similarity, -1.0)
    neighbours = [np.flatnonzero(row >= threshold) for row in similarity]
    rng = np.random.default_rng(_VISIT_SEED)
    for _ in range(_MAX_SWEEPS):
        if not _sweep(labels, similarity, neighbours, rng.permutation(rows)):
            break
    return labels


def _sweep(
    labels: IntArray, similarity: FloatArray, neighbours: list[IntArray], order: IntArray
) -> bool:
    changed = False
    for row in order:
        near = neighbours[row]
        if not len(near):
            continue
        # Similarities can be negative where the threshold is; a vote never counts against.
        votes = np.bincount(labels[near], weights=np.maximum(similarity[row, near], 1e-6))
        best = int(votes.argmax())
        current = int(labels[row])
        if best != current and (current >= len(votes) or votes[best] > votes[current]):
            labels[row] = best
            changed = True
    return changed
