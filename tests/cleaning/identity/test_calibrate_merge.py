"""The merge-candidate threshold keeps to its target on generated people."""

from __future__ import annotations

import numpy as np
import pytest

from cleaning.identity.calibrate_merge import calibrate_merge
from facedata.errors import RecipeError


def nearest(embeddings: np.ndarray, identity: np.ndarray) -> np.ndarray:
    """Greatest similarity of each pair of different classes."""
    classes = np.unique(identity)
    similarity = embeddings @ embeddings.T
    return np.array(
        [
            similarity[np.ix_(identity == one, identity == other)].max()
            for i, one in enumerate(classes)
            for other in classes[i + 1 :]
        ]
    )


def drawn(people, sizes: np.ndarray, seed: int):  # type: ignore[no-untyped-def]
    who = people(len(sizes), seed=seed)
    embeddings = np.concatenate([who.faces(p, int(n)) for p, n in enumerate(sizes)])
    return who, embeddings, np.repeat(np.arange(len(sizes)), sizes).astype(np.int64)


@pytest.mark.parametrize("rate", [1e-2, 1e-3])
def test_about_the_target_share_of_class_pairs_reaches_the_threshold(people, rate) -> None:
    sizes = np.random.default_rng(0).integers(2, 25, size=120)
    _, embeddings, identity = drawn(people, sizes, seed=0)

    found = calibrate_merge(embeddings, identity, rate, seed=0)

    share = (nearest(embeddings, identity) >= found.at_target).mean()
    assert rate / 5 < share < rate * 3
    assert found.class_pairs == 120 * 119 // 2


def test_bigger_classes_need_a_higher_threshold(people) -> None:
    _, small, small_identity = drawn(people, np.full(60, 3), seed=1)
    _, big, big_identity = drawn(people, np.full(60, 30), seed=1)

    few = calibrate_merge(small, small_identity, 1e-4, seed=0)
    many = calibrate_merge(big, big_identity, 1e-4, seed=0)

    assert many.at_target > few.at_target + 0.03


def test_people_under_two_names_do_not_raise_the_threshold(people) -> None:
    sizes = np.full(100, 10)
    who, embeddings, identity = drawn(people, sizes, seed=2)
    doubles = np.concatenate([who.faces(p, 10) for p in range(20)])
    double_identity = np.repeat(np.arange(100, 120), 10)
    clean = calibrate_merge(embeddings, identity, 1e-4, seed=0)

    mixed = calibrate_merge(
        np.concatenate([embeddings, doubles]),
        np.concatenate([identity, double_identity]),
        1e-4,
        seed=0,
    )

    assert mixed.threshold == pytest.approx(clean.threshold, abs=0.03)


def test_three_classes_still_get_a_threshold_between_the_levels(people) -> None:
    _, embeddings, identity = drawn(people, np.full(3, 40), seed=3)

    found = calibrate_merge(embeddings, identity, 1e-6, seed=0)

    assert nearest(embeddings, identity).max() < found.threshold <= found.same_decile


def test_a_rate_out_of_range_is_refused(people) -> None:
    _, embeddings, identity = drawn(people, np.full(3, 4), seed=4)

    with pytest.raises(RecipeError, match=r"inter\.target_fmr: 2\.0 is not a rate"):
        calibrate_merge(embeddings, identity, 2.0, seed=0)
