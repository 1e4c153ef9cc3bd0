"""What the faces and embeddings stages measured, of all partitions, as columns in memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cleaning.stages.embeddings import EMBEDDINGS
from cleaning.stages.faces import FACES, PHOTOS
from facedata.records import PhotoRecord
from facedata.stages import StageResult
from facedata.storage import Storage

_COLUMNS = ["face_id", "image_id", "det_score", "size", "prominence", "blur", "yaw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All photos and faces of a build; the crops stay on disk.

    Faces are ordered by ``face_id`` within a partition and partitions by image id, so the whole
    order is a function of the content. ``embeddings`` is float16 (n, d), row-aligned with the
    columns of ``faces`` (face_id, image_id, det_score, size, prominence, blur, yaw).
    """

    photos: dict[str, PhotoRecord]
    faces: pa.Table
    embeddings: NDArray[np.float16]

    def column(self, name: str) -> NDArray[np.float32]:
        """A numeric column of the faces, float32 (n,)."""
        values: NDArray[np.float32] = self.faces.column(name).to_numpy().astype(np.float32)
        return values

    def face_ids(self) -> list[str]:
        """The face ids, row by row."""
        ids: list[str] = self.faces.column("face_id").to_pylist()
        return ids

    def rows_of_images(self) -> dict[str, list[int]]:
        """Face rows of each image that has any."""
        rows: dict[str, list[int]] = {}
        for row, image_id in enumerate(self.faces.column("image_id").to_pylist()):
            rows.setdefault(image_id, []).append(row)
        return rows


def load_measured(
    storage: Storage, faces: Sequence[StageResult], embeddings: Sequence[StageResult]
) -> Measured:
    """Read the results of the faces and embeddings stages, partition by partition."""
    photos: dict[str, PhotoRecord] = {}
    tables = []
    for part in faces:
        rows = storage.read_records(part.path(PHOTOS), PhotoRecord)
        photos.update((row.image_id, row) for row in rows)
        tables.append(storage.read_columns(part.path(FACES), _COLUMNS))
    arrays = [load_array(storage, part.path(EMBEDDINGS)) for part in embeddings]
    filled = [array for array in arrays if len(array)]
    return Measured(
        photos=photos,
        faces=pa.concat_tables(tables),
        embeddings=np.concatenate(filled) if filled else np.zeros((0, 1), np.float16),
    )


def load_array(storage: Storage, path: str) -> NDArray[np.float16]:
    """Read a ``.npy`` file; pickled content is refused."""
    array: NDArray[np.float16] = np.load(io.BytesIO(storage.read(path)), allow_pickle=False)
    return array
