"""Reading aligned crops back, a partition at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from cleaning.stages.faces import FACES
from facedata.errors import IntegrityError
from facedata.stages import StageResult
from facedata.storage import Storage


class CropReader:
    """Gives the PNG crop of a face; cheap when faces are asked for in order of ``face_id``.

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
        """The crop of a face.

        Raises:
            IntegrityError: when no partition holds this face.
        """
        part = bisect_right(self._first_ids, face_id) - 1
        if part != self._open_part and part >= 0:
            table = self._storage.read_columns(self._parts[part].path(FACES), ["face_id", "crop"])
            self._crops = dict(
                zip(
                    table.column("face_id").to_pylist(),
                    table.column("crop").to_pylist(),
                    strict=True,
                )
            )
            self._open_part = part
        if face_id not in self._crops:
            raise IntegrityError(f"face {face_id}: its crop is missing; remove stages/faces, rerun")
        return self._crops[face_id]
