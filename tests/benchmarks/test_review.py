"""The questions of the review's bench: every pair once, pictures that can be made."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from benchmarks.review_data import BATCH, FACES_EACH, Material
from cleaning.review.items import PairItem
from cleaning.review.sheet import gallery_sheet
from facedata.storage import Storage


@pytest.fixture
def material(tmp_path: Path) -> Material:
    return Material(storage=Storage(tmp_path))


def test_no_pair_is_asked_twice(material: Material) -> None:
    batches = list(material.batches())

    assert [batch.name for batch in batches[:2]] == ["pairs-0001", "pairs-0002"]
    assert [len(batch.items) for batch in batches[:100]] == [BATCH] * 100
    items = [item for batch in batches for item in batch.items if isinstance(item, PairItem)]
    assert len({item.key for item in items}) == len(items) == 320 * 319 // 2
    assert len({(item.a.identity, item.b.identity) for item in items}) == len(items)


def test_a_second_project_goes_on_with_other_pairs(material: Material) -> None:
    first = {item.key for batch in islice(material.batches(), 2) for item in batch.items}
    (second,) = islice(material.batches(first_pair=2 * BATCH), 1)

    assert second.name == "pairs-0001"
    assert not first & {item.key for item in second.items}


def test_the_crops_of_a_side_make_a_sheet(material: Material) -> None:
    material.write()
    crop_of = material.crops()
    (batch,) = islice(material.batches(), 1)
    item = batch.items[0]
    assert isinstance(item, PairItem)

    assert len(item.a.faces) == FACES_EACH
    assert item.face_a in item.a.faces
    assert item.face_b in item.b.faces
    assert not set(item.a.faces) & set(item.b.faces)
    sheet = gallery_sheet([crop_of(face) for face in item.a.faces])
    assert 10_000 < len(sheet) < 80_000
