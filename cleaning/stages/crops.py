"""Reading aligned crops back, a partition at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import groupby

import pyarrow as pa

from cleaning.stages.faces import FACES
from facedata.errors import IntegrityError
from facedata.stages import StageResult
from facedata.storage import Storage

_COLUMNS = ["face_id", "crop"]


class CropReader:
    """Gives the PNG crops of faces.

    Partitions follow one another in order of image id, and so of face id; one partition's crops
    are in memory at a time.
    """

    def __init__(self, storage: Storage, faces: Sequence[StageResult]) -> None:
        self._storage = storage
        self._parts = []
        self._first_ids = []
        for part in faces:
            ids = storage.read_columns(part.path(FACES), ["face_id"]).column("face_id")
            if len(ids):
                self._parts.append(part)
                self._first_ids.append(str(ids[0]))
        self._open_part = -1
        self._crops: dict[str, bytes] = {}

    def __call__(self, face_id: str) -> bytes:
        """The crop of a face; cheap when faces are asked for in order of ``face_id``.

        Raises:
            IntegrityError: when no partition holds this face.
        """
        part = self._part_of(face_id)
        if part != self._open_part and part >= 0:
            path = self._parts[part].path(FACES)
            self._crops = _by_face(self._storage.read_columns(path, _COLUMNS))
            self._open_part = part
        return self._crop(face_id, self._crops)

    def some(self, face_ids: Collection[str]) -> dict[str, bytes]:
        """The crops of some faces, by face id; little more than them is read.

        Raises:
            IntegrityError: when no partition holds one of them.
        """
        crops: dict[str, bytes] = {}
        for part, together in groupby(sorted(face_ids), self._part_of):
            wanted = set(together)
            found: dict[str, bytes] = {}
            if part >= 0:
                path = self._parts[part].path(FACES)
                found = _by_face(self._storage.read_rows_with(path, _COLUMNS, wanted))
            crops.update((face_id, self._crop(face_id, found)) for face_id in wanted)
        return crops

    def _part_of(self, face_id: str) -> int:
        """The number of the partition that may hold a face, -1 before the first."""
        return bisect_right(self._first_ids, face_id) - 1

    def _crop(self, face_id: str, crops: dict[str, bytes]) -> bytes:
        if face_id not in crops:
            raise IntegrityError(f"face {face_id}: its crop is missing; remove stages/faces, rerun")
        return crops[face_id]


def _by_face(table: pa.Table) -> dict[str, bytes]:
    ids, crops = (table.column(name).to_pylist() for name in _COLUMNS)
    return dict(zip(ids, crops, strict=True))
