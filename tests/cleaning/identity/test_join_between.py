"""The exact join of two sets, against brute force."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cleaning.identity.join_between import LabelledFaces, nearest_between, nearest_pair
from facedata.errors import RequestError


def faces(count: int, people: int, seed: int, dimension: int = 16) -> LabelledFaces:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    identity = rng.integers(0, max(people, 1), count).astype(np.int64)
    return LabelledFaces(embeddings=rows.astype(np.float16), identity=identity)


def brute(ours: LabelledFaces, theirs: LabelledFaces) -> NDArray[np.float64]:
    """Similarities of float16 rows: products of those are exact in float64, and so are the sums."""
    return ours.embeddings.astype(np.float64) @ theirs.embeddings.astype(np.float64).T


@given(
    st.integers(0, 1200),
    st.integers(0, 70),
    st.integers(1, 9),
    st.floats(-1, 1),
    st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_it_is_what_brute_force_finds(
    count: int, others: int, people: int, threshold: float, seed: int
) -> None:
    ours, theirs = faces(count, people, seed), faces(others, people, seed + 1)
    similarity = brute(ours, theirs)
    found = nearest_between(ours, theirs, threshold, threads=2)
    expected = {}
    for a in np.unique(ours.identity):
        for b in np.unique(theirs.identity):
            block = similarity[np.ix_(ours.identity == a, theirs.identity == b)]
            if block.max() >= threshold:
                expected[int(a), int(b)] = (float(block.max()), int((block >= threshold).sum()))
    pairs = zip(found.identity_a.tolist(), found.identity_b.tolist(), strict=True)
    counts = zip(found.max_similarity.tolist(), found.close_pairs.tolist(), strict=True)
    assert dict(zip(pairs, counts, strict=True)) == expected
    assert (similarity[found.face_a, found.face_b] == found.max_similarity).all()
    assert (np.diff(found.max_similarity) <= 0).all()
    nearest = nearest_pair(ours, theirs)
    assert nearest.max_similarity.tolist() == ([similarity.max()] if similarity.size else [])


def test_more_rows_than_a_stripe_holds() -> None:
    ours, theirs = faces(700, 3, 1), faces(9000, 5, 2)
    similarity = brute(ours, theirs)
    nearest = nearest_pair(ours, theirs, threads=2)
    assert nearest.max_similarity.tolist() == [similarity.max()]
    place = np.unravel_index(similarity.argmax(), similarity.shape)
    assert (nearest.face_a[0], nearest.face_b[0]) == place
    assert Fraction(nearest.max_similarity[0]).denominator <= 2**52


def test_a_face_of_both_sets_is_found_at_any_threshold_it_reaches() -> None:
    ours, theirs = faces(40, 4, 3), faces(40, 4, 3)
    self_similarity = (ours.embeddings.astype(np.float64) ** 2).sum(axis=1)
    nearest = nearest_pair(ours, theirs)
    assert nearest.max_similarity[0] == self_similarity.max()


def test_wrong_shapes_are_refused() -> None:
    one = faces(4, 2, 5)
    bad = LabelledFaces(embeddings=one.embeddings, identity=one.identity[:2])
    with pytest.raises(RequestError, match="do not fit"):
        nearest_between(one, bad, 0.5)
    with pytest.raises(RequestError, match="threshold is 2"):
        nearest_between(one, one, 2.0)
