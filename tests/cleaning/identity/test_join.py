"""The exact join against brute force, on inputs chosen to be awkward."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaning.identity.join import CrossClassPairs, close_pairs, minimum_cross_class
from cleaning.identity.screen import int8_screen
from facedata.errors import RequestError, WorkError

COLUMNS = (
    "identity_a",
    "identity_b",
    "max_similarity",
    "face_a",
    "face_b",
    "close_pairs",
)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clustered(n: int, d: int, classes: int, seed: int, noise: float = 0.8) -> tuple:
    """Rows around shared directions, so that some classes are duplicates of others."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, classes // 2), d))
    identity = rng.integers(0, classes, n)
    rows = centres[identity % len(centres)] + noise * rng.standard_normal((n, d))
    return unit(rows), identity


def exact_matrix(rows: np.ndarray) -> np.ndarray:
    """Similarities as the module defines them: exact in float64, whatever the order."""
    grid = np.rint(rows.astype(np.float64) * 2.0**26) / 2.0**26
    return grid @ grid.T


def brute_faces(rows: np.ndarray, identity: np.ndarray, threshold: float) -> dict:
    similarity = exact_matrix(rows)
    wanted = (similarity >= threshold) & (identity[:, None] != identity[None, :])
    return {(i, j): similarity[i, j] for i, j in np.argwhere(np.triu(wanted, 1)).tolist()}


def brute_classes(rows: np.ndarray, identity: np.ndarray, threshold: float) -> list[tuple]:
    groups: dict[tuple[int, int], list[tuple]] = {}
    for (i, j), similarity in brute_faces(rows, identity, threshold).items():
        a, b = (i, j) if identity[i] < identity[j] else (j, i)
        groups.setdefault((int(identity[a]), int(identity[b])), []).append((-similarity, a, b))
    table = [(-min(g)[0], key, min(g), len(g)) for key, g in groups.items()]
    return [
        (*key, similarity, nearest[1], nearest[2], count)
        for similarity, key, nearest, count in sorted(table, key=lambda row: (-row[0], row[1]))
    ]


def as_rows(pairs: CrossClassPairs) -> list[tuple]:
    return list(zip(*(getattr(pairs, name).tolist() for name in COLUMNS), strict=True))


def as_dict(pairs) -> dict:
    keys = zip(pairs.face_a.tolist(), pairs.face_b.tolist(), strict=True)
    return dict(zip(keys, pairs.similarity.tolist(), strict=True))


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 70),
    d=st.integers(1, 40),
    classes=st.integers(1, 12),
    seed=st.integers(0, 10_000),
    threshold=st.floats(-1, 1),
    block=st.integers(1, 40),
    threads=st.integers(1, 3),
    half=st.booleans(),
)
def test_same_as_brute_force(n, d, classes, seed, threshold, block, threads, half):
    rows, identity = clustered(n, d, classes, seed)
    rows = rows.astype(np.float16) if half else rows
    how = {"block": block, "threads": threads}
    assert as_rows(minimum_cross_class(rows, identity, threshold, **how)) == brute_classes(
        rows, identity, threshold
    )
    assert as_dict(close_pairs(rows, identity, threshold, **how)) == brute_faces(
        rows, identity, threshold
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), pick=st.integers(0, 10_000))
def test_a_threshold_equal_to_a_similarity_counts_that_pair(seed, pick):
    rows, identity = clustered(40, 24, 6, seed)
    similarities = sorted(brute_faces(rows, identity, -1).values())
    threshold = similarities[pick % len(similarities)]
    at = close_pairs(rows, identity, threshold)
    above = close_pairs(rows, identity, np.nextafter(threshold, 2))
    assert as_dict(at) == brute_faces(rows, identity, threshold)
    assert threshold in at.similarity
    assert threshold not in above.similarity


@pytest.mark.parametrize("dimension", [128, 512])
def test_agrees_with_float32_away_from_the_threshold(dimension):
    rows, identity = clustered(1500, dimension, 90, seed=5, noise=1.0)
    similarity = rows @ rows.T
    cross = np.triu(identity[:, None] != identity[None, :], 1)
    found = close_pairs(rows, identity, 0.4)
    surely = {tuple(p) for p in np.argwhere(cross & (similarity >= 0.4 + 1e-6)).tolist()}
    maybe = {tuple(p) for p in np.argwhere(cross & (similarity >= 0.4 - 1e-6)).tolist()}
    pairs = set(as_dict(found))
    assert len(surely) > 1000
    assert surely <= pairs <= maybe
    assert np.abs(found.similarity - similarity[found.face_a, found.face_b]).max() < 1e-6


def test_block_and_threads_do_not_change_a_bit():
    rows, identity = clustered(3000, 64, 200, seed=1)
    tables = [
        as_rows(minimum_cross_class(rows, identity, 0.3, block=block, threads=threads))
        for block, threads in [(512, 1), (512, 2), (100, 1), (37, 3), (4096, 1)]
    ]
    assert len(tables[0]) > 100
    assert all(table == tables[0] for table in tables)


def test_row_order_changes_only_the_row_numbers():
    rows, identity = clustered(400, 48, 30, seed=2)
    shuffle = np.random.default_rng(0).permutation(len(rows))
    plain = minimum_cross_class(rows, identity, 0.3)
    mixed = minimum_cross_class(rows[shuffle], identity[shuffle], 0.3)
    assert plain.max_similarity.tolist() == mixed.max_similarity.tolist()
    assert plain.identity_a.tolist() == mixed.identity_a.tolist()
    assert plain.face_a.tolist() == shuffle[mixed.face_a].tolist()
    assert plain.close_pairs.tolist() == mixed.close_pairs.tolist()


def test_ties_go_to_the_first_rows_and_identities():
    rows = np.tile(unit(np.ones((1, 8))), (6, 1))
    pairs = minimum_cross_class(rows, np.array([7, 3, 7, 3, 5, 5]), 0.9)
    assert pairs.identity_a.tolist() == [3, 3, 5]
    assert pairs.identity_b.tolist() == [5, 7, 7]
    assert pairs.face_a.tolist() == [1, 1, 4]
    assert pairs.face_b.tolist() == [4, 0, 0]
    assert pairs.close_pairs.tolist() == [4, 4, 4]


def test_millions_of_close_pairs_come_back_as_class_pairs_only():
    rows = np.tile(unit(np.ones((1, 16))), (3000, 1))
    identity = np.arange(3000) % 3
    pairs = minimum_cross_class(rows, identity, 0.5)
    assert pairs.close_pairs.tolist() == [1_000_000] * 3


def test_one_class_has_no_pairs():
    rows, _ = clustered(900, 16, 4, seed=3)
    assert len(minimum_cross_class(rows, np.zeros(900, np.int64), -1.0, block=64)) == 0


def test_classes_of_one_face():
    rows, _ = clustered(120, 12, 8, seed=4)
    identity = np.arange(120)
    pairs = minimum_cross_class(rows, identity, 0.2)
    assert as_rows(pairs) == brute_classes(rows, identity, 0.2)
    assert set(pairs.close_pairs.tolist()) == {1}


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_pair(n):
    rows, identity = np.ones((n, 1), np.float32), np.zeros(n, np.int64)
    assert len(minimum_cross_class(rows, identity, -1.0)) == 0
    assert len(close_pairs(rows, identity, -1.0)) == 0


def test_memory_map_is_accepted(tmp_path: Path):
    rows, identity = clustered(300, 20, 12, seed=6)
    np.save(tmp_path / "e.npy", rows.astype(np.float16))
    mapped = np.load(tmp_path / "e.npy", mmap_mode="r")
    assert as_rows(minimum_cross_class(mapped, identity, 0.4)) == brute_classes(
        rows.astype(np.float16), identity, 0.4
    )


@pytest.mark.parametrize("dimension", [1, 3, 64, 130, 512])
@pytest.mark.parametrize("kind", ["gaussian", "one-hot", "heavy", "constant", "alternating"])
def test_screen_never_loses_a_pair(dimension, kind):
    """Also on rows that int8 stores badly, and on those that drive its sums to their limits."""
    rng = np.random.default_rng(dimension)
    rows = {
        "gaussian": rng.standard_normal((80, dimension)),
        "one-hot": np.eye(dimension)[rng.integers(0, dimension, 80)],
        "heavy": rng.standard_cauchy((80, dimension)),
        "constant": np.ones((80, dimension)) * rng.choice([-1, 1], (80, 1)),
        "alternating": np.where(np.arange(dimension) % 2, -1, 1) * rng.choice([-1, 1], (80, 1)),
    }[kind]
    rows = unit(rows)
    similarity = rows.astype(np.float64) @ rows.astype(np.float64).T
    for threshold in (-0.5, 0.0, 0.4, 0.9):
        hits = int8_screen(dimension)(rows, threshold)(rows, 80)
        assert set(np.flatnonzero(similarity >= threshold)) <= set(hits.tolist())


def test_screen_names_few_pairs_too_many():
    rows, _ = clustered(1024, 512, 1024, seed=7)
    hits = int8_screen(512)(rows, 0.4)(rows, 1024)
    similarity = rows @ rows.T
    assert np.count_nonzero(similarity >= 0.4) <= len(hits)
    assert len(hits) <= np.count_nonzero(similarity >= 0.35)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 3.0])
def test_a_row_that_is_no_unit_vector_is_named(value):
    rows, identity = clustered(20, 8, 4, seed=8)
    rows[13] = value
    with pytest.raises(WorkError, match="row 13 has norm"):
        minimum_cross_class(rows, identity, 0.4)


@pytest.mark.parametrize("threshold", [np.nan, 1.2, -1.01])
def test_a_threshold_outside_the_range_is_refused(threshold):
    rows, identity = clustered(20, 8, 4, seed=8)
    with pytest.raises(RequestError, match=r"give a similarity in \[-1, 1\]"):
        close_pairs(rows, identity, threshold)


def test_shapes_and_types_that_do_not_fit_are_refused():
    rows, identity = clustered(20, 8, 4, seed=8)
    with pytest.raises(RequestError, match=r"\(20, 8\) and identity \(19,\)"):
        close_pairs(rows, identity[:19], 0.4)
    with pytest.raises(RequestError, match="float64: give float16 or float32"):
        close_pairs(rows.astype(np.float64), identity, 0.4)
