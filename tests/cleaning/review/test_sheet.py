"""Contact sheets: small, deterministic, every face in its place."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleaning.review.sheet import CELL, GAP, gallery_sheet, sheet_columns, sheet_size
from demo.casting import make_person
from demo.photo import render_photo
from facedata.errors import IntegrityError


def plain(grey: int, side: int = CELL) -> bytes:
    """A crop of one shade."""
    _, encoded = cv2.imencode(".png", np.full((side, side, 3), grey, dtype=np.uint8))
    return bytes(encoded)


def pixels(sheet: bytes) -> np.ndarray:
    decoded = cv2.imdecode(np.frombuffer(sheet, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded)


@pytest.mark.parametrize("count", range(1, 13))
def test_every_face_lies_in_its_place(count: int) -> None:
    shades = [20 * (index + 1) for index in range(count)]
    columns = sheet_columns(count)
    sheet = pixels(gallery_sheet([plain(shade) for shade in shades]))
    assert sheet.shape[:2] == sheet_size(count, columns)[::-1]
    for index, shade in enumerate(shades):
        row, column = divmod(index, columns)
        centre = sheet[row * (CELL + GAP) + CELL // 2, column * (CELL + GAP) + CELL // 2]
        assert np.abs(centre.astype(int) - shade).max() <= 3


def test_twelve_faces_are_two_rows_of_six() -> None:
    assert (sheet_columns(12), sheet_size(12, 6)) == (6, (692, 228))
    assert (sheet_columns(1), sheet_size(1, 1)) == (1, (CELL, CELL))


def test_columns_may_be_chosen() -> None:
    assert pixels(gallery_sheet([plain(9)] * 5, columns=2)).shape[:2] == sheet_size(5, 2)[::-1]


def test_another_size_is_scaled() -> None:
    assert pixels(gallery_sheet([plain(90, side=50)])).shape == (CELL, CELL, 3)


def test_twelve_rendered_faces_stay_below_45_kb_and_come_out_alike() -> None:
    crops = []
    for seed in range(12):
        photo = render_photo([make_person(seed)], seed, size=(160, 160)).image
        _, encoded = cv2.imencode(".png", cv2.resize(photo[:, :, ::-1], (CELL, CELL)))
        crops.append(bytes(encoded))
    sheet = gallery_sheet(crops)
    assert len(sheet) <= 45_000
    assert gallery_sheet(crops) == sheet


@pytest.mark.parametrize("broken", [b"", b"no image"])
def test_a_broken_crop_is_named(broken: bytes) -> None:
    with pytest.raises(IntegrityError, match=f"face crop 1 of a gallery, {len(broken)} bytes"):
        gallery_sheet([plain(0), broken])


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="not 0 and 1"):
        gallery_sheet([])
