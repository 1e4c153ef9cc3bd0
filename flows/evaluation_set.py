"""Evaluation sets, embedded by a model pack: ``.bin`` files, or pairs of photos.

Photos go the way they go in a build: the pack's own detector, alignment, its recogniser. Of a photo
with several faces the most prominent one counts. A photo without a face stays in the protocol: its
pairs get similarity -1, so that they are never accepted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from cleaning.faces.align import decode_crops
from cleaning.faces.config import FacesConfig, usable_cores
from cleaning.faces.pack import ModelPack, load_pack
from cleaning.stages.faces import FACES, measure_partition
from facedata.errors import RequestError
from facedata.records import FaceRecord
from facedata.storage import Storage
from training.evaluate.embedder import Embed, EmbedOptions, open_recogniser
from training.evaluate.pairs import ScoredPairs, contiguous_folds, scored_pairs
from training.evaluate.report import read_pairs_csv
from training.evaluate.verification_bin import read_bin

_NEVER_ACCEPTED = -1.0
_NO_ROW = -1
_PHOTOS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSet:
    """``path`` is a ``.bin`` file, or a CSV of pairs whose images lie below ``photos``.

    ``name`` is what reports call it, and no other set beside it.
    """

    path: Path
    photos: Path | None
    name: str


@dataclass(frozen=True, kw_only=True)
class EmbeddedSet:
    """A set as a pack sees it.

    ``rows`` (n, d) are unit embeddings, ``people`` (n,) the folder that each photo lies in, empty
    where that is not known. ``first`` and ``second`` (p,) are the rows of the pairs, -1 for photos
    without a face, which ``without_face`` names; ``same`` (p,) says what is true.
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

    @cached_property
    def scored(self) -> ScoredPairs:
        """The pairs with their similarity.

        Raises:
            RequestError: there are too few pairs of either kind.
        """
        left, right = self.rows[self.first], self.rows[self.second]
        similarity: NDArray[np.float64] = np.einsum("ij,ij->i", left, right, dtype=np.float64)
        similarity[(self.first == _NO_ROW) | (self.second == _NO_ROW)] = _NEVER_ACCEPTED
        return scored_pairs(similarity, self.same, self.folds)


class Sight:
    """A pack that looks at evaluation sets; aligned faces of photos are kept in ``cache``."""

    def __init__(self, folder: Path, cache: Storage, *, flip: bool = False) -> None:
        options = EmbedOptions(flip=flip, threads=usable_cores())
        self.embed: Embed = open_recogniser(folder, options)
        self._folder = folder
        self._cache = cache

    @cached_property
    def _pack(self) -> ModelPack:
        return load_pack(self._folder)

    def look(self, chosen: EvaluationSet) -> EmbeddedSet:
        """Embed a set.

        Raises:
            RequestError: the set cannot be read, or a photo of it is missing.
            ModelError: the pack cannot be used.
        """
        if chosen.photos is None:
            return self._look_at_bin(chosen)
        pairs = read_pairs_csv(chosen.path)
        names = sorted({*pairs.image_a, *pairs.image_b})
        crops = self.crops({name: chosen.photos / name for name in names})
        if not crops:
            raise RequestError(
                f"{chosen.path}: no face in any of its {len(names)} photos; check the photos, or "
                "the model's detector"
            )
        row = {name: index for index, name in enumerate(sorted(crops))}
        return EmbeddedSet(
            name=chosen.name,
            images=len(names),
            without_face=tuple(name for name in names if name not in row),
            rows=self.embed(np.stack([crops[name] for name in row])),
            people=tuple(PurePosixPath(name).parent.name for name in row),
            first=np.array([row.get(name, _NO_ROW) for name in pairs.image_a]),
            second=np.array([row.get(name, _NO_ROW) for name in pairs.image_b]),
            same=pairs.same,
            folds=pairs.folds,
        )

    def crops(self, photos: Mapping[str, Path]) -> dict[str, NDArray[np.uint8]]:
        """The aligned face of every photo that has one, uint8 (112, 112, 3) BGR, by its name.

        Raises:
            RequestError: a photo is missing.
        """
        by_id: dict[str, list[str]] = {}
        for name, path in photos.items():
            by_id.setdefault(_sha256(path), []).append(name)
        ids, found = sorted(by_id), {}
        for start in range(0, len(ids), _PHOTOS_AT_ONCE):
            some = {one: str(photos[by_id[one][0]]) for one in ids[start : start + _PHOTOS_AT_ONCE]}
            stage = measure_partition(self._cache, some, self._pack, FacesConfig())
            for face in _main_faces(self._cache.read_records(stage.path(FACES), FaceRecord)):
                crop = decode_crops([face.crop])[0][:, :, ::-1]
                found.update(dict.fromkeys(by_id[face.image_id], crop))
        return found

    def _look_at_bin(self, chosen: EvaluationSet) -> EmbeddedSet:
        pairs = read_bin(chosen.path)
        row = np.arange(len(pairs.images))
        return EmbeddedSet(
            name=chosen.name,
            images=len(pairs.images),
            without_face=(),
            rows=np.concatenate([self.embed(crops) for crops in pairs.crops()]),
            people=("",) * len(pairs.images),
            first=row[0::2],
            second=row[1::2],
            same=pairs.same,
            folds=contiguous_folds(len(pairs.same)),
        )


def open_sets(paths: Sequence[Path], photos: Path | None = None) -> tuple[EvaluationSet, ...]:
    """Evaluation sets by their files, each with a name of its own.

    Raises:
        RequestError: one is named twice, or ``open_set`` refuses it.
    """
    sets = [open_set(path, photos) for path in paths]
    files = [path.resolve() for path in paths]
    twice = next((file for index, file in enumerate(files) if file in files[:index]), None)
    if twice is not None:
        raise RequestError(f"evaluation set {twice}: named twice; name it once")
    # A link keeps its own name: it may point to a file that is named after its content.
    names = distinct_names([path.parent.resolve() / path.name for path in paths])
    return tuple(replace(one, name=name) for one, name in zip(sets, names, strict=True))


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The names of distinct files without endings, or with so many of their folders as tell them
    apart."""
    names = [path.stem for path in paths]
    parts = 0
    while len(set(names)) < len(names):
        parts += 1
        names = [str(Path(*path.parts[-parts:])) for path in paths]
    return names


def open_set(path: Path, photos: Path | None = None) -> EvaluationSet:
    """An evaluation set by its file; photos lie beside a CSV unless ``photos`` says where.

    Raises:
        RequestError: the file or the folder is missing, or the file is of no known kind.
    """
    if path.suffix not in {".bin", ".csv"}:
        raise RequestError(f"evaluation set {path}: give a .bin file, or a .csv of pairs")
    if not path.is_file():
        raise RequestError(f"evaluation set {path}: no such file; check the path")
    if path.suffix == ".bin":
        return EvaluationSet(path=path, photos=None, name=path.stem)
    folder = photos or path.parent
    if not folder.is_dir():
        raise RequestError(f"photos {folder}: no such folder; give the one that {path} starts from")
    return EvaluationSet(path=path, photos=folder, name=path.stem)


def _main_faces(faces: Sequence[FaceRecord]) -> list[FaceRecord]:
    """The most prominent face of each photo."""
    best: dict[str, FaceRecord] = {}
    for face in faces:
        known = best.get(face.image_id)
        if known is None or face.prominence > known.prominence:
            best[face.image_id] = face
    return list(best.values())


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise RequestError(
            f"photo {path}: cannot be read ({error.strerror}); pairs are never left out: put it "
            "there, or say where the photos are"
        ) from error
