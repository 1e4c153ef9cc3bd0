"""Thresholds measured on the data hold for any scale and survive noise."""

from __future__ import annotations

import numpy as np
import pytest

from cleaning.identity.calibrate import CUT_RATES, calibrate_pairs
from cleaning.identity.clustering import METHODS


def measured(people, *, misfiled: float = 0.0, offset: float = 0.0, classes: int = 40):  # type: ignore[no-untyped-def]
    who = people(classes, seed=0)
    faces = np.concatenate([who.faces(person, 12) for person in range(classes)])
    identity = np.repeat(np.arange(classes), 12).astype(np.int64)
    rng = np.random.default_rng(1)
    moved = rng.random(len(identity)) < misfiled
    identity[moved] = rng.integers(0, classes, size=moved.sum())
    if offset:
        common = rng.normal(size=faces.shape[1])
        common /= np.linalg.norm(common)
        faces = np.sqrt(1 - offset) * faces + np.sqrt(offset) * common
        faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    photo = np.arange(len(identity), dtype=np.int64)
    return calibrate_pairs(faces.astype(np.float32), photo, identity, seed=0)


def test_every_method_has_a_rate() -> None:
    assert set(CUT_RATES) == set(METHODS)


@pytest.mark.parametrize("misfiled", [0.2, 0.4])
@pytest.mark.parametrize("classes", [3, 40])
def test_label_noise_hardly_moves_the_levels(people, misfiled, classes) -> None:
    clean = measured(people, classes=classes)

    noisy = measured(people, misfiled=misfiled, classes=classes)

    assert noisy.different.location == pytest.approx(clean.different.location, abs=0.03)
    assert noisy.different.scale == pytest.approx(clean.different.scale, abs=0.03)
    assert noisy.same_median == pytest.approx(clean.same_median, abs=0.03)


def test_a_shared_offset_moves_all_levels_alike(people) -> None:
    plain, shifted = measured(people), measured(people, offset=0.36)

    for level in ("same_median", "same_quartile"):
        wanted = 0.36 + 0.64 * getattr(plain, level)
        assert getattr(shifted, level) == pytest.approx(wanted, abs=0.03)
    assert shifted.cut("average") == pytest.approx(0.36 + 0.64 * plain.cut("average"), abs=0.03)


def test_the_levels_are_in_order(people) -> None:
    pairs = measured(people)

    assert pairs.different.location < pairs.other_person() < pairs.same_person() < pairs.same_median
    assert pairs.cut("complete") < pairs.cut("average") < pairs.cut("chinese-whispers")
    assert pairs.same_decile < pairs.same_quartile < pairs.same_median


def test_with_one_class_the_people_beside_the_person_are_the_different_ones(people) -> None:
    who = people(61, seed=3)
    photos = np.arange(60)
    faces = np.concatenate([who.faces(60, 60)] + [who.faces(p, 1) for p in photos])
    photo = np.concatenate([photos, photos]).astype(np.int64)

    pairs = calibrate_pairs(faces, photo, np.zeros(120, np.int64), seed=0)

    assert pairs.different.samples == 60
    assert pairs.different.location == pytest.approx(0.0, abs=0.04)
    assert pairs.same_median > 0.4


def test_without_any_pair_the_prior_is_taken(people) -> None:
    one = people(1, seed=4).faces(0, 1)

    pairs = calibrate_pairs(one, np.zeros(1, np.int64), np.zeros(1, np.int64), seed=0)

    assert pairs.different.samples == pairs.same_samples == 0
    assert 0.0 < pairs.cut("average") < 1.0
