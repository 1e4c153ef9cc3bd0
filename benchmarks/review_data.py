"""What the bench of the review asks: questions about generated crops that show nobody.

Pairs of 320 identities with 12 faces each, every pair once; pictures are shared between pairs as
in a real review, where an identity stands in several candidates.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cleaning.review.addresses import Addresses
from cleaning.review.items import Batch, Item, PairItem, Side, question_key
from cleaning.review.label_studio import connect
from cleaning.review.sheet import CELL
from cleaning.stages.crops import CropReader
from cleaning.stages.exchange import Exchange
from cleaning.stages.faces import FACES
from cleaning.stages.review_folder import ReviewFolder
from facedata.options import ImageOptions, ReviewOptions
from facedata.review import Kind
from facedata.stages import StageResult
from facedata.storage import Storage

BATCH = 500
IDENTITIES, FACES_EACH = 320, 12
_PARTITIONS = 4
_BLOBS, _GRAIN = 8, 6.0
_SEED = 3


@dataclass(frozen=True, kw_only=True)
class Material:
    """Crops in a workspace, as the faces stage leaves them, and pairs to ask about."""

    storage: Storage

    @cached_property
    def faces(self) -> list[str]:
        """Face ids, sorted; identity ``i`` has those at ``i``, ``i + IDENTITIES``, ..."""
        count = IDENTITIES * FACES_EACH
        return sorted(f"{hashlib.sha256(b'%d' % face).hexdigest()[:32]}-0" for face in range(count))

    def write(self) -> None:
        """Write the crops, in partitions in order of face id."""
        rng = np.random.default_rng(_SEED)
        for part, ids in zip(self._parts(), np.array_split(self.faces, _PARTITIONS), strict=True):
            crops = [_crop(rng) for _ in ids]
            stream = io.BytesIO()
            pq.write_table(pa.table({"face_id": ids.tolist(), "crop": crops}), stream)
            self.storage.write(part.path(FACES), stream.getvalue())

    def crops(self) -> CropReader:
        """Reads the crops back, as a push does."""
        return CropReader(self.storage, self._parts())

    def batches(self, first_pair: int = 0) -> Iterator[Batch]:
        """Batches of pairs that are all different, from the one at ``first_pair`` on."""
        rng = np.random.default_rng(_SEED)
        pairs = rng.permutation(np.array(list(combinations(range(IDENTITIES), 2))))
        items = (self._item(int(a), int(b), rng) for a, b in pairs[first_pair:])
        number = 1
        while chunk := tuple(islice(items, BATCH)):
            yield _batch(number, chunk)
            number += 1

    def _item(self, a: int, b: int, rng: np.random.Generator) -> PairItem:
        sides = [self._side(a), self._side(b)]
        near_a, near_b = (side.faces[int(rng.integers(FACES_EACH))] for side in sides)
        similarity = float(rng.uniform(0.4, 0.7))
        return PairItem(
            key=question_key(Kind.PAIRS, [side.identity for side in sides], 0),
            a=sides[0],
            b=sides[1],
            face_a=near_a,
            face_b=near_b,
            max_similarity=similarity,
            centroid_similarity=similarity - 0.1,
            close_pairs=int(rng.integers(1, 40)),
            chance_same=similarity,
        )

    def _side(self, number: int) -> Side:
        return Side(
            identity=f"Generated Person {number:04d}",
            photos=3 * FACES_EACH,
            faces=tuple(self.faces[number::IDENTITIES]),
            sources=("photos.example", "archive.example"),
            years="2004–2011",
        )

    def _parts(self) -> list[StageResult]:
        return [
            StageResult(
                stage="faces",
                key=str(part),
                folder=f"stages/faces/{part}",
                files={},
                counts={},
                facts={},
            )
            for part in range(_PARTITIONS)
        ]


def _batch(number: int, items: tuple[Item, ...]) -> Batch:
    name = f"{Kind.PAIRS.value}-{number:04d}"
    return Batch(name=name, kind=Kind.PAIRS, overlap=1, model="generated 01234567", items=items)


def _crop(rng: np.random.Generator) -> bytes:
    """A PNG of soft colours with the grain of a photo, so that JPEG has as much to do."""
    blobs = rng.uniform(20, 235, (_BLOBS, _BLOBS, 3)).astype(np.float32)
    pixels = cv2.resize(blobs, (CELL, CELL), interpolation=cv2.INTER_CUBIC)
    pixels += _GRAIN * rng.standard_normal(pixels.shape, np.float32)
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    _, encoded = cv2.imencode(".png", np.clip(pixels, 0, 255).astype(np.uint8), fast)
    return bytes(encoded)


def exchange_with(url: str, token: str, material: Material, dataset: str, root: Path) -> Exchange:
    """A review of its own on the server, whose document root is ``root``."""
    storage = material.storage
    images = ImageOptions(document_root=str(root))
    return Exchange(
        folder=ReviewFolder(storage=storage, dataset=dataset),
        server=connect(url, token),
        options=ReviewOptions(backend="label-studio", url=url, images=images),
        addresses=Addresses(images, storage),
    )
