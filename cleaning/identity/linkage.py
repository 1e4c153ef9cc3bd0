"""Agglomerative clustering on cosine distance: average, complete and single linkage.

Source: scipy.cluster.hierarchy (Müllner, "Modern hierarchical, agglomerative clustering
algorithms", 2011). Memory is one condensed distance matrix, n·(n−1)/2 float64.
"""

from __future__ import annotations

import numpy as np

from cleaning.identity.faceset import FloatArray, IntArray


def average_linkage(embeddings: FloatArray, threshold: float) -> IntArray:
    """Join clusters while the mean similarity of their faces is at least ``threshold``."""
    return _cut(embeddings, threshold, "average")


def complete_linkage(embeddings: FloatArray, threshold: float) -> IntArray:
    """Join clusters while even their least similar faces reach ``threshold``."""
    return _cut(embeddings, threshold, "complete")


def single_linkage(embeddings: FloatArray, threshold: float) -> IntArray:
    """Join clusters while their most similar faces reach ``threshold``."""
    return _cut(embeddings, threshold, "single")


def _cut(embeddings: FloatArray, threshold: float, method: str) -> IntArray:
    rows = len(embeddings)
    if rows < 2:
        return np.zeros(rows, dtype=np.int64)
    # Loading these takes half a second, and most commands do not cluster.
    from scipy.cluster.hierarchy import fcluster
    from scipy.cluster.hierarchy import linkage as build_tree
    from scipy.spatial.distance import squareform

    similarity = embeddings @ embeddings.T
    distance = 1.0 - np.clip((similarity + similarity.T) / 2, -1.0, 1.0)
    np.fill_diagonal(distance, 0.0)
    tree = build_tree(squareform(distance, checks=False), method=method)
    labels: IntArray = fcluster(tree, t=1.0 - threshold, criterion="distance").astype(np.int64)
    return labels
