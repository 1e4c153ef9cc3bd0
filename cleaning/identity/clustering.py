"""The clustering algorithms behind one signature, and the bound on their memory.

All compare every pair of rows, so a class above ``EXACT_ROWS`` is handled in two steps: an
evenly spaced subsample of ``EXACT_ROWS`` rows is clustered exactly, and every other row joins
the cluster to which its mean similarity is greatest, if that reaches the threshold; rows that
reach none become clusters of their own. Memory stays below about 400 MB for any class size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from cleaning.identity.chinese_whispers import chinese_whispers
from cleaning.identity.faceset import FloatArray, IntArray
from cleaning.identity.linkage import average_linkage, complete_linkage, single_linkage

ClusterFunction = Callable[[FloatArray, float], IntArray]

METHODS: Mapping[str, ClusterFunction] = MappingProxyType(
    {
        "average": average_linkage,
        "complete": complete_linkage,
        "single": single_linkage,
        "chinese-whispers": chinese_whispers,
    }
)
"""Name in the recipe → function of (embeddings float32 (n, d) unit rows, similarity threshold)
that returns int64 (n,) cluster labels."""

EXACT_ROWS = 4096
_BLOCK_ROWS = 8192


def cluster(embeddings: FloatArray, threshold: float, method: str) -> IntArray:
    """Cluster unit rows (n, d) with a method of ``METHODS``; labels are 0 … k−1 by first row."""
    if len(embeddings) <= EXACT_ROWS:
        return _by_first_row(METHODS[method](embeddings, threshold))
    sample = np.linspace(0, len(embeddings) - 1, EXACT_ROWS).astype(np.int64)
    sample_labels = _by_first_row(METHODS[method](embeddings[sample], threshold))
    labels = np.full(len(embeddings), -1, dtype=np.int64)
    labels[sample] = sample_labels
    rest = np.flatnonzero(labels < 0)
    labels[rest] = _nearest_cluster(embeddings, rest, sample, sample_labels, threshold)
    alone = np.flatnonzero(labels < 0)
    labels[alone] = labels.max() + 1 + np.arange(len(alone))
    return _by_first_row(labels)


def _nearest_cluster(
    embeddings: FloatArray,
    rest: IntArray,
    sample: IntArray,
    sample_labels: IntArray,
    threshold: float,
) -> IntArray:
    means = np.zeros((sample_labels.max() + 1, embeddings.shape[1]), dtype=np.float32)
    np.add.at(means, sample_labels, embeddings[sample])
    means /= np.bincount(sample_labels)[:, None]
    found = np.empty(len(rest), dtype=np.int64)
    for start in range(0, len(rest), _BLOCK_ROWS):
        block = embeddings[rest[start : start + _BLOCK_ROWS]] @ means.T
        best = block.argmax(axis=1)
        reached = block[np.arange(len(block)), best] >= threshold
        found[start : start + _BLOCK_ROWS] = np.where(reached, best, -1)
    return found


def _by_first_row(labels: IntArray) -> IntArray:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    numbered: IntArray = rank[inverse.reshape(-1)]
    return numbered
