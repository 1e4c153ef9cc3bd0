"""How a reviewer sees an identity: its gallery, where its photos come from, and from when."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from cleaning.review.gallery import select_gallery
from cleaning.review.items import Side
from cleaning.stages.material import Material
from cleaning.stages.settle import hopeful_identity
from facedata.records import ImageRecord
from facedata.review import Pair, PairEvidence

_MOST_SOURCES = 3


class Sides:
    """Makes the sides of one build's questions."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._face_row = {face: row for row, face in enumerate(material.measured.face_ids())}
        self._rows: dict[str, list[int]] = defaultdict(list)
        for number, row in enumerate(material.rows):
            identity = hopeful_identity(row)
            if identity is not None and row.face_id is not None:
                self._rows[identity].append(number)

    def rows(self, identity: str) -> list[int]:
        """Ledger rows that would ship under an identity."""
        return self._rows.get(identity, [])

    def photos(self, identity: str) -> int:
        """How many photos would ship under an identity."""
        return len(self.rows(identity))

    def side(self, identity: str, without: Collection[str] = ()) -> Side:
        """An identity's gallery and facts; faces named in ``without`` are not shown."""
        rows = [
            number
            for number in self.rows(identity)
            if self._material.rows[number].face_id not in without
        ]
        images = [self._material.images[number] for number in rows]
        sources = [_source(image) for image in images]
        picked = select_gallery(self._embeddings(rows), source=_codes(sources))
        return Side(
            identity=identity,
            photos=self.photos(identity),
            faces=tuple(self._material.rows[rows[i]].face_id or "" for i in picked),
            sources=tuple(name for name, _ in Counter(sources).most_common(_MOST_SOURCES)),
            years=self._years([images[i] for i in picked]),
        )

    def compare(self, pair: Pair, threshold: float) -> PairEvidence | None:
        """What is measured between any two identities; None when one of them has no photos."""
        rows_a, rows_b = (self.rows(name) for name in pair)
        if not rows_a or not rows_b:
            return None
        a, b = self._embeddings(rows_a), self._embeddings(rows_b)
        similarity = a @ b.T
        nearest_a, nearest_b = np.unravel_index(int(similarity.argmax()), similarity.shape)
        means = a.mean(axis=0), b.mean(axis=0)
        lengths = float(np.linalg.norm(means[0]) * np.linalg.norm(means[1]))
        return PairEvidence(
            identity_a=pair[0],
            identity_b=pair[1],
            max_similarity=float(similarity.max()),
            face_a=self._material.rows[rows_a[nearest_a]].face_id or "",
            face_b=self._material.rows[rows_b[nearest_b]].face_id or "",
            centroid_similarity=float(means[0] @ means[1]) / lengths if lengths else 0.0,
            close_pairs=int((similarity >= threshold).sum()),
            photos_a=len(rows_a),
            photos_b=len(rows_b),
        )

    def _embeddings(self, rows: Sequence[int]) -> NDArray[np.float32]:
        measured = self._material.measured
        faces = [self._face_row[self._material.rows[row].face_id or ""] for row in rows]
        return measured.embeddings[faces].astype(np.float32)

    def _years(self, images: Sequence[ImageRecord]) -> str:
        photos = self._material.measured.photos
        years = {photos[image.image_id].taken_year for image in images} - {None}
        known = sorted(year for year in years if year is not None)
        if not known:
            return ""
        return f"{known[0]}" if known[0] == known[-1] else f"{known[0]}–{known[-1]}"


def _source(image: ImageRecord) -> str:
    """Where a photo comes from, in a word: the site it was linked on, or the recipe's source."""
    host = urlsplit(image.page_url or image.url or "").hostname
    return host or image.source


def _codes(sources: Sequence[str]) -> NDArray[np.int64]:
    order = {name: code for code, name in enumerate(sorted(set(sources)))}
    return np.array([order[name] for name in sources], np.int64)
