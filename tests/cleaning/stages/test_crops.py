"""Crops read back: all in order, or some without all the others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleaning.stages.crops import CropReader
from cleaning.stages.faces import FACES
from facedata.errors import IntegrityError
from facedata.records import FaceRecord, to_parquet
from facedata.stages import StageResult
from facedata.storage import Storage

PARTS, FACES_EACH = 3, 40


@dataclass(frozen=True)
class Measured:
    """Partitions of faces whose crops are their ids' bytes."""

    storage: Storage
    parts: list[StageResult]
    faces: list[str]

    @property
    def reader(self) -> CropReader:
        return CropReader(self.storage, self.parts)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    storage = Storage(tmp_path_factory.mktemp("crops"))
    count = PARTS * FACES_EACH
    faces = sorted(f"{hashlib.sha256(b'%d' % n).hexdigest()[:32]}-0" for n in range(count))
    parts = [part(number) for number in range(PARTS + 1)]
    for number, one in enumerate(parts):
        # The last partition has no face.
        ids = faces[number * FACES_EACH : (number + 1) * FACES_EACH]
        storage.write(one.path(FACES), to_parquet(FaceRecord, map(record, ids)))
    return Measured(storage, parts, faces)


def part(number: int) -> StageResult:
    return StageResult(
        stage="faces", key=str(number), folder=f"faces/{number}", files={}, counts={}, facts={}
    )


def record(face_id: str) -> FaceRecord:
    return FaceRecord(
        face_id=face_id,
        image_id=face_id.split("-", maxsplit=1)[0],
        face_index=0,
        det_score=0.5,
        box=(0.0, 0.0, 1.0, 1.0),
        landmarks=(0.0,) * 10,
        size=1.0,
        prominence=0.5,
        blur=1.0,
        yaw=0.0,
        pitch=0.0,
        roll=0.0,
        crop=crop(face_id),
    )


def crop(face_id: str) -> bytes:
    return face_id.encode() * 3


@settings(max_examples=30, deadline=None)
@given(chosen=st.sets(st.integers(0, PARTS * FACES_EACH - 1)))
def test_some_crops_are_those_that_were_asked_for(measured: Measured, chosen: set[int]) -> None:
    faces = [measured.faces[number] for number in chosen]
    assert measured.reader.some(faces) == {face: crop(face) for face in faces}


def test_all_crops_in_order(measured: Measured) -> None:
    reader = measured.reader
    assert [reader(face) for face in measured.faces] == list(map(crop, measured.faces))


def test_a_face_that_no_partition_holds_is_named(measured: Measured) -> None:
    for face in ("0" * 32 + "-0", measured.faces[7] + "1", "f" * 32 + "-9"):
        with pytest.raises(IntegrityError, match=f"face {face}: its crop is missing"):
            measured.reader.some([measured.faces[0], face])
        with pytest.raises(IntegrityError, match=f"face {face}: its crop is missing"):
            measured.reader(face)


def test_crops_lie_in_small_groups(measured: Measured) -> None:
    path = measured.storage.local_path(measured.parts[0].path(FACES))
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [32, 8]
