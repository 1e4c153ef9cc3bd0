"""Similarities to one's own class leave oneself out; those to other classes are exact."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaning.identity.centres import (
    CoreFaces,
    centres_of,
    group_sums,
    leave_one_out,
    nearest_others,
)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def core(identity: np.ndarray, seed: int = 0) -> CoreFaces:
    rng = np.random.default_rng(seed)
    return CoreFaces(
        embeddings=unit(rng.normal(size=(len(identity), 16))),
        identity=identity.astype(np.int64),
        rows=np.arange(len(identity), dtype=np.int64),
    )


@given(identity=st.lists(st.integers(0, 5), min_size=1, max_size=20), seed=st.integers(0, 2**16))
@settings(max_examples=50, deadline=None)
def test_own_similarity_is_that_to_the_other_faces_of_the_class(
    identity: list[int], seed: int
) -> None:
    faces = core(np.array(identity), seed)

    own = leave_one_out(faces.embeddings, faces, centres_of(faces, 6))

    for row, face in enumerate(faces.embeddings):
        others = (faces.identity == faces.identity[row]) & (np.arange(len(identity)) != row)
        if not others.any():
            assert own.similarity[row] == own.mean[row] == -1.0
            continue
        centre = faces.embeddings[others].mean(axis=0)
        np.testing.assert_allclose(own.mean[row], face @ centre, atol=1e-5)
        expected = face @ centre / np.linalg.norm(centre)
        np.testing.assert_allclose(own.similarity[row], expected, atol=1e-4)


@given(classes=st.integers(1, 8), barred=st.integers(1, 3), seed=st.integers(0, 2**16))
@settings(max_examples=50, deadline=None)
def test_the_nearest_others_are_those_of_brute_force(classes: int, barred: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    faces = core(rng.integers(0, classes, size=20), seed)
    centres = centres_of(faces, classes)
    queries = unit(rng.normal(size=(9, 16)))
    banned = rng.integers(0, classes, size=(9, barred))

    near = nearest_others(queries, banned, centres)

    for row, query in enumerate(queries):
        allowed = [c for c in np.flatnonzero(centres.count) if c not in banned[row]]
        best = sorted(allowed, key=lambda c: -float(query @ centres.unit[c]))[:2]
        assert near.identity[row].tolist() == best + [-1] * (2 - len(best))
        wanted = [float(query @ centres.unit[c]) for c in best] + [-1.0] * (2 - len(best))
        np.testing.assert_allclose(near.similarity[row], wanted, atol=1e-5)


def test_the_mean_between_classes_is_over_all_pairs_of_faces() -> None:
    faces = core(np.array([0, 0, 1, 1, 1]))
    centres = centres_of(faces, 2)

    mean = centres.mean_between(np.array([0, 0]), np.array([1, -1]))

    expected = (faces.embeddings[:2] @ faces.embeddings[2:].T).mean()
    np.testing.assert_allclose(mean, [expected, -1.0], atol=1e-6)


def test_groups_without_rows_sum_to_zero() -> None:
    sums = group_sums(np.ones((3, 2), np.float32), np.array([4, 1, 4]), 5)

    assert sums.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0], [2, 2]]
