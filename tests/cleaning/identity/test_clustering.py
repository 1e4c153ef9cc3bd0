"""One property check over every clustering method."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaning.identity import clustering
from cleaning.identity.clustering import METHODS, cluster


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=6),
    seed=st.integers(0, 2**16),
    method=st.sampled_from(sorted(METHODS)),
)
@settings(max_examples=60, deadline=None)
def test_well_separated_people_are_told_apart(sizes: list[int], seed: int, method: str) -> None:
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(len(sizes)), sizes)
    rng.shuffle(person)
    directions = np.eye(len(sizes), 32)
    embeddings = unit(directions[person] + 0.02 * rng.normal(size=(len(person), 32)))

    labels = cluster(embeddings, 0.5, method)

    assert labels.dtype == np.int64
    assert sorted(set(labels)) == list(range(len(sizes)))
    assert ((labels[:, None] == labels) == (person[:, None] == person)).all()
    first_rows = [int(np.flatnonzero(labels == label)[0]) for label in range(labels.max() + 1)]
    assert first_rows == sorted(first_rows), "labels are numbered by first row"


@given(
    rows=st.integers(0, 20),
    seed=st.integers(0, 2**16),
    threshold=st.floats(-0.9, 0.9),
    method=st.sampled_from(sorted(METHODS)),
)
@settings(max_examples=60, deadline=None)
def test_any_input_gives_one_label_per_row_and_the_same_again(
    rows: int, seed: int, threshold: float, method: str
) -> None:
    embeddings = unit(np.random.default_rng(seed).normal(size=(rows, 8)))

    labels = cluster(embeddings, threshold, method)

    assert len(labels) == rows
    assert (cluster(embeddings, threshold, method) == labels).all()


def test_linkages_differ_as_their_names_say() -> None:
    angles = np.deg2rad([0, 30, 60])
    chain = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    assert len(set(cluster(chain, 0.8, "single"))) == 1
    assert len(set(cluster(chain, 0.8, "complete"))) == 2
    assert len(set(cluster(chain, 0.68, "average"))) == 1
    assert len(set(cluster(chain, 0.69, "average"))) == 2


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_class_above_the_bound_is_sampled_and_the_rest_assigned(method: str) -> None:
    rng = np.random.default_rng(3)
    person = rng.integers(0, 3, size=200)
    embeddings = unit(np.eye(4, 16)[person] + 0.05 * rng.normal(size=(200, 16)))
    stranger = unit(np.eye(16)[8:9])
    rows = np.concatenate([embeddings[:100], stranger, embeddings[100:]])

    with patch.object(clustering, "EXACT_ROWS", 50):
        labels = cluster(rows, 0.5, method)

    known = np.delete(labels, 100)
    assert ((known[:, None] == known) == (person[:, None] == person)).all()
    assert labels[100] not in known
