"""Versions that can be trained on, and those that cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facedata.errors import IntegrityError, RequestError
from facedata.versions import Manifest
from training.data.released import check_classes, training_set


@pytest.fixture
def manifest(tmp_path: Path, make_version) -> Manifest:
    return make_version(tmp_path, {"Ada": 0, "Bea": 4}, retired={"Old": 6}, images=1)


def test_classes_are_counted_with_the_gaps(manifest: Manifest) -> None:
    assert training_set("set", manifest, manifest.digest).classes == 7


def test_a_changed_manifest_is_refused(manifest: Manifest) -> None:
    changed = replace(manifest, identities={"Ada": 0, "Bea": 5})

    with pytest.raises(IntegrityError, match="people-v0001: its manifest says digest"):
        training_set("set", changed, None)


def test_another_digest_than_asked_for_is_refused(manifest: Manifest) -> None:
    with pytest.raises(RequestError, match=r"asked for was abc; correct data\.digest"):
        training_set("set", manifest, "abc")


def test_one_identity_cannot_be_told_from_others(tmp_path: Path, make_version) -> None:
    alone = make_version(tmp_path / "alone", {"Ada": 0})

    with pytest.raises(RequestError, match="1 identities; training needs at least two"):
        training_set("set", alone, None)


def test_gaps_of_retired_identities_are_right() -> None:
    check_classes("v", {"Ada": 0, "Bea": 2}, np.array([True, False, True]))


def test_an_identity_without_images_is_named() -> None:
    with pytest.raises(IntegrityError, match=r"class 2 \('Bea'\) has no image .*and 1 more"):
        check_classes("v", {"Ada": 0, "Bea": 2, "Cid": 3}, np.array([True, False, False, False]))


def test_images_of_no_identity_are_named() -> None:
    with pytest.raises(IntegrityError, match="images of class 1, which no identity has;"):
        check_classes("v", {"Ada": 0, "Bea": 2}, np.array([True, True, True]))
