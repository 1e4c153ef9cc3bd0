from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaning.export.galleries import (
    PAIRS_PER_DECISION,
    PHOTOS_PER_GALLERY,
    build_galleries,
    build_pair_cards,
)
from facedata.errors import IntegrityError
from facedata.ledger import Reason


@pytest.fixture(scope="module")
def crop_of(face_crop):
    crop = face_crop(1)
    return lambda _: crop


def test_each_kind_of_photo_in_its_gallery(row, crop_of) -> None:
    rows = [
        row(1, Reason.MAIN_CLUSTER, "Ana", "Ana", similarity=0.7),
        row(2, Reason.BELONGS_TO_OTHER, "Ana", "Bea", similarity=0.6),
        row(3, Reason.OUTLIER, "Ana", similarity=0.1),
        row(4, Reason.OUTLIER, "Ana", similarity=0.2),
        row(5, Reason.NO_FACE, "Ana", face_id=None, similarity=None),
        row(6, Reason.DUPLICATE, "Ana", face_id=None, similarity=None),
    ]
    galleries = build_galleries(rows, crop_of)
    assert [(g.plan.title, g.total, len(g.photos)) for g in galleries] == [
        ("Kept", 1, 1),
        ("Kept, but only just", 1, 1),
        ("Moved", 1, 1),
        ("Dropped", 2, 2),
        ("Duplicates", 1, 0),
    ]
    [moved] = galleries[2].photos
    assert (moved.claimed_identity, moved.identity, moved.similarity) == ("Ana", "Bea", 0.6)
    assert (moved.source, moved.source_uri) == ("photos", "Ana/2.jpg")
    assert [photo.similarity for photo in galleries[3].photos] == [0.2, 0.1]


def test_the_least_and_most_similar_are_shown_in_order(row, crop_of) -> None:
    kept = [
        row(i, Reason.MAIN_CLUSTER, "Ana", "Ana", similarity=0.3 + i / 1000) for i in range(100)
    ]
    _, just = build_galleries(kept, crop_of)
    assert just.total == 100
    assert [photo.similarity for photo in just.photos] == [
        0.3 + i / 1000 for i in range(PHOTOS_PER_GALLERY)
    ]


@settings(max_examples=20)
@given(count=st.integers(0, 60), data=st.data())
def test_the_choice_does_not_depend_on_the_order_of_rows(
    row, crop_of, count: int, data: st.DataObject
) -> None:
    rows = [
        row(i, data.draw(st.sampled_from(list(Reason))), "Ana", similarity=i % 3 / 10)
        for i in range(count)
    ]
    galleries = build_galleries(rows, crop_of)
    assert build_galleries(data.draw(st.permutations(rows)), crop_of) == galleries
    assert all(len(g.photos) == min(g.total, PHOTOS_PER_GALLERY) for g in galleries)


def test_images_are_small_data_uris(row, crop_of) -> None:
    [kept, _] = build_galleries([row(1, Reason.MAIN_CLUSTER, "Ana", "Ana")], crop_of)
    head, _, body = kept.photos[0].image.partition(",")
    assert head == "data:image/jpeg;base64"
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(body), np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (96, 96, 3)


def test_the_nearest_pairs_of_each_decision(candidate, crop_of) -> None:
    rows = [candidate("a", f"b{i:03}", 0.4 + i / 1000, "pending") for i in range(50)]
    rows.append(candidate("a", "c", 0.3, "same", "Ana"))
    cards = build_pair_cards(rows, crop_of)
    assert [card.row.identity_b for card in cards] == [
        *(f"b{i:03}" for i in range(49, 49 - PAIRS_PER_DECISION, -1)),
        "c",
    ]
    assert cards[0].image_a.startswith("data:image/jpeg;base64,")
    assert build_pair_cards(rows[::-1], crop_of) == cards


def test_a_broken_crop_is_named(row) -> None:
    rows = [row(1, Reason.MAIN_CLUSTER, "Ana", "Ana")]
    with pytest.raises(IntegrityError, match="face crop of 3 bytes is not an image"):
        build_galleries(rows, lambda _: b"abc")
