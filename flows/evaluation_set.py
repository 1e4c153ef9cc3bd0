"""Evaluation sets as a model pack sees them.

Photos go the way they go in a build: the pack's own detector, alignment, its recogniser. Of a photo
with several faces the most prominent one counts. A photo without a face stays in the protocol: its
pairs get similarity -1, so that they are never accepted. A photo that cannot be decoded says
nothing about the model, and the set is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from cleaning.faces.align import decode_crops
from cleaning.faces.config import FacesConfig, usable_cores
from cleaning.faces.pack import ModelPack, load_pack
from cleaning.stages.faces import FACES, PHOTOS, measure_partition
from facedata.errors import RequestError
from facedata.ledger import Reason
from facedata.records import FaceRecord, PhotoRecord
from facedata.storage import Storage
from flows.evaluation_files import EvaluationSet
from flows.progress import Reporter
from training.evaluate.embedder import Embed, EmbedOptions, open_recogniser
from training.evaluate.exact import pair_similarity
from training.evaluate.pairs import ScoredPairs, contiguous_folds, scored_pairs
from training.evaluate.report import PairList, read_pairs_csv
from training.evaluate.verification_bin import VerificationSet, read_bin

_NEVER_ACCEPTED = -1.0
_NO_ROW = -1
_PHOTOS_AT_ONCE = 256
_NO_PHOTO = frozenset({Reason.EMPTY_FILE, Reason.UNREADABLE, Reason.TOO_LARGE})


@dataclass(frozen=True, kw_only=True)
class EmbeddedSet:
    """A set as a pack sees it.

    ``rows`` (n, d) are unit embeddings, one for each file content with a face; ``people`` (n,)
    the folder that the photo lies in, empty without one. ``without_face`` names
    photos without a face, ``copies`` those whose bytes are another's, which came first by name.
    ``first`` and ``second`` (p,) are the rows of the pairs, -1 for photos without a face; ``same``
    (p,) says what is true, and ``repeated`` how many pairs the file lists again. ``doubt`` names a
    pair that contradicts ``people``, empty where none does.
    """

    name: str
    images: int
    without_face: tuple[str, ...]
    rows: NDArray[np.float32]
    people: tuple[str, ...]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]
    folds: NDArray[np.int64] | None
    copies: tuple[str, ...] = ()
    repeated: int = 0
    doubt: str = ""

    @property
    def people_without_face(self) -> tuple[str, ...]:
        """The person of each photo without a face, copies left out."""
        copies = set(self.copies)
        return tuple(_person(name) for name in self.without_face if name not in copies)

    def check_people(self, what: str) -> None:
        """Refuse what needs to know the person in each photo, where that is not known.

        Raises:
            RequestError: it is not known.
        """
        if self.doubt or "" in (*self.people, *self.people_without_face):
            doubt = f" ({self.doubt})" if self.doubt else ""
            raise RequestError(
                f"{self.name}: {what} to know who is in a photo{doubt}; give a CSV whose photos "
                "lie in a folder for each person"
            )

    @cached_property
    def scored(self) -> ScoredPairs:
        """The pairs with their similarity.

        Raises:
            RequestError: there are too few pairs of either kind.
        """
        similarity = pair_similarity(self.rows, self.rows, self.first, self.second)
        similarity[(self.first == _NO_ROW) | (self.second == _NO_ROW)] = _NEVER_ACCEPTED
        return scored_pairs(similarity, self.same, self.folds)


class Sight:
    """A pack that looks at evaluation sets; aligned faces of photos are kept in ``cache``."""

    def __init__(
        self,
        folder: Path,
        cache: Storage,
        *,
        flip: bool = False,
        reporter: Reporter | None = None,
    ) -> None:
        options = EmbedOptions(flip=flip, threads=usable_cores())
        self.embed: Embed = open_recogniser(folder, options)
        self._folder = folder
        self._cache = cache
        self._reporter = reporter or Reporter(quiet=True)

    @cached_property
    def _pack(self) -> ModelPack:
        return load_pack(self._folder)

    def look(self, chosen: EvaluationSet) -> EmbeddedSet:
        """Embed a set.

        Raises:
            RequestError: the set cannot be read, or a photo of it is missing or broken.
            ModelError: the pack cannot be used.
        """
        if chosen.photos is None:
            return self._look_at_bin(chosen)
        pairs = read_pairs_csv(chosen.path)
        names = sorted({*pairs.image_a, *pairs.image_b})
        by_id = _by_content({name: chosen.photos / name for name in names})
        shown, rows = self._embed_photos(chosen.name, chosen.photos, by_id)
        if not shown:
            raise RequestError(
                f"{chosen.path}: no face in any of its {len(names)} photos; check the photos, or "
                "the model's detector"
            )
        row = {name: index for index, one in enumerate(shown) for name in by_id[one]}
        return EmbeddedSet(
            name=chosen.name,
            images=len(names),
            without_face=tuple(name for name in names if name not in row),
            rows=rows,
            people=tuple(_person(by_id[one][0]) for one in shown),
            first=np.array([row.get(name, _NO_ROW) for name in pairs.image_a]),
            second=np.array([row.get(name, _NO_ROW) for name in pairs.image_b]),
            same=pairs.same,
            folds=pairs.folds,
            copies=tuple(sorted(name for same in by_id.values() for name in same[1:])),
            repeated=pairs.repeated,
            doubt=_doubt(pairs),
        )

    def crops(self, photos: Mapping[str, Path]) -> dict[str, NDArray[np.uint8]]:
        """The aligned face of every photo that has one, uint8 (112, 112, 3) BGR, by its name.

        Raises:
            RequestError: a photo is missing or broken.
        """
        by_id = _by_content(photos)
        files = {one: photos[names[0]] for one, names in by_id.items()}
        parts = self._parts(files)
        return {name: crop for part in parts for one, crop in part for name in by_id[one]}

    def _embed_photos(
        self, stage: str, folder: Path, by_id: Mapping[str, Sequence[str]]
    ) -> tuple[list[str], NDArray[np.float32]]:
        """Contents that show a face, by their first name, and their embeddings (n, d)."""
        shown: list[str] = []
        rows: list[NDArray[np.float32]] = []
        self._reporter.start(stage, len(by_id))
        left = len(by_id)
        for part in self._parts({one: folder / names[0] for one, names in by_id.items()}):
            if part:
                shown.extend(one for one, _ in part)
                rows.append(self.embed(np.stack([crop for _, crop in part])))
            self._reporter.advance(stage, min(_PHOTOS_AT_ONCE, left))
            left -= min(_PHOTOS_AT_ONCE, left)
        order = sorted(range(len(shown)), key=lambda index: by_id[shown[index]][0])
        together = np.concatenate(rows)[order] if rows else np.empty((0, 0), np.float32)
        return [shown[index] for index in order], together

    def _parts(self, files: Mapping[str, Path]) -> Iterator[list[tuple[str, NDArray[np.uint8]]]]:
        """Contents and aligned faces, some photos at a time."""
        ids = sorted(files)
        for start in range(0, len(ids), _PHOTOS_AT_ONCE):
            some = {one: str(files[one]) for one in ids[start : start + _PHOTOS_AT_ONCE]}
            stage = measure_partition(self._cache, some, self._pack, FacesConfig())
            _check_decoded(self._cache.read_records(stage.path(PHOTOS), PhotoRecord), some)
            faces = _main_faces(self._cache.read_records(stage.path(FACES), FaceRecord))
            yield [(face.image_id, decode_crops([face.crop])[0][:, :, ::-1]) for face in faces]

    def _look_at_bin(self, chosen: EvaluationSet) -> EmbeddedSet:
        pairs = read_bin(chosen.path)
        row = np.arange(len(pairs.images))
        return EmbeddedSet(
            name=chosen.name,
            images=len(pairs.images),
            without_face=(),
            rows=self._embed_bin(chosen.name, pairs),
            people=("",) * len(pairs.images),
            first=row[0::2],
            second=row[1::2],
            same=pairs.same,
            folds=contiguous_folds(len(pairs.same)),
        )

    def _embed_bin(self, stage: str, pairs: VerificationSet) -> NDArray[np.float32]:
        rows = []
        self._reporter.start(stage, len(pairs.images))
        for crops in pairs.crops():
            rows.append(self.embed(crops))
            self._reporter.advance(stage, len(crops))
        return np.concatenate(rows)


def _main_faces(faces: Sequence[FaceRecord]) -> list[FaceRecord]:
    """The most prominent face of each photo."""
    best: dict[str, FaceRecord] = {}
    for face in faces:
        known = best.get(face.image_id)
        if known is None or face.prominence > known.prominence:
            best[face.image_id] = face
    return list(best.values())


def _check_decoded(photos: Sequence[PhotoRecord], files: Mapping[str, str]) -> None:
    """Refuse photos that nothing was looked for in."""
    for photo in photos:
        if photo.problem in _NO_PHOTO:
            raise RequestError(
                f"photo {files[photo.image_id]}: cannot be decoded ({photo.problem}); pairs are "
                "never left out: fetch it again"
            )


def _person(name: str) -> str:
    """The folder that a photo lies in; empty for none."""
    return PurePosixPath(name).parent.name


def _doubt(pairs: PairList) -> str:
    """A pair whose answer and folders disagree, in words; empty without one."""
    for first, second, same in zip(pairs.image_a, pairs.image_b, pairs.same, strict=True):
        if (_person(first) == _person(second)) != same:
            kind, lie = (
                ("one person", "different folders") if same else ("two people", "one folder")
            )
            return f"{first} and {second} are {kind} and lie in {lie}"
    return ""


def _by_content(photos: Mapping[str, Path]) -> dict[str, list[str]]:
    """Names by the digest of their bytes, each list in order."""
    by_id: dict[str, list[str]] = {}
    for name, path in sorted(photos.items()):
        by_id.setdefault(_sha256(path), []).append(name)
    return by_id


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise RequestError(
            f"photo {path}: cannot be read ({error.strerror}); pairs are never left out: put it "
            "there, or say where the photos are"
        ) from error
