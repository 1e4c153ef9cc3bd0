"""Measured photo sets with known people, noise put into them, and the score of what comes out.

``Gallery`` is what cleaning sees plus the truth; nothing here is known to the product's code.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cleaning.faces.align import decode_crops
from cleaning.faces.config import FacesConfig
from cleaning.faces.embed import embed_crops
from cleaning.faces.measure import PhotoRows, measure_photos
from cleaning.faces.pack import ModelPack, load_pack
from cleaning.identity.faceset import BoolArray, FaceSet, FloatArray, IntArray
from cleaning.identity.intra import IntraResult
from facedata.ledger import Outcome

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("WINNOW_SHARED", ROOT.parent / "shared"))
PACKS = ("buffalo_sc", "second_opinion")

UNKNOWN = -1
"""True class of a photo that shows nobody of the set."""

ALSO_SHOWS = {
    # Photos with a second person of the set in the background, found by that face's similarity
    # to the second person's other photos.
    "Abdullah_Gul_0016": "Recep_Tayyip_Erdogan",
    "Harrison_Ford_0004": "Calista_Flockhart",
    "Hugo_Chavez_0033": "Luiz_Inacio_Lula_da_Silva",
    "Steven_Spielberg_0002": "Tom_Cruise",
    "Tom_Harkin_0001": "Hillary_Clinton",
    "Tony_Blair_0026": "Colin_Powell",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Photos with their faces and their true people.

    Per photo: ``files`` (path below the set, ``<person>/<file>``), ``truth`` int64 (p,) true
    class or ``UNKNOWN``, ``second`` int64 (p,) the class of a known person in the background or
    ``UNKNOWN``, ``claimed`` int64 (p,) the class it is filed under. Per face: ``embeddings``
    (n, d), ``photo``, ``prominence``, ``place`` float (n, 2) middle of the box as shares of
    width and height, ``main`` bool (n,) the face of the photo's person: its most
    prominent one where nothing better is known. ``names`` of classes.
    """

    names: tuple[str, ...]
    files: tuple[str, ...]
    truth: IntArray
    second: IntArray
    claimed: IntArray
    embeddings: FloatArray
    photo: IntArray
    prominence: FloatArray
    place: npt.NDArray[np.float64]
    main: BoolArray

    def face_set(self) -> tuple[FaceSet, IntArray]:
        """What cleaning gets, and the gallery's row of each of its rows."""
        rows = np.flatnonzero(self.claimed[self.photo] >= 0)
        faces = FaceSet(
            embeddings=np.ascontiguousarray(self.embeddings[rows]),
            photo=self.photo[rows],
            identity=self.claimed[self.photo[rows]],
            prominence=self.prominence[rows],
        )
        return faces, rows

    def class_of(self, name: str) -> int:
        """The class with a name."""
        return self.names.index(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What cleaning made of a gallery, in photos; shares are in [0, 1]."""

    photos: int
    misfiled: int
    shipped: int
    wrong: int
    genuine: int
    kept: int
    returned: int
    held_classes: int
    wrong_files: tuple[str, ...]

    @property
    def wrong_share(self) -> float:
        """Share of the shipped photos whose face is not the identity it ships under."""
        return self.wrong / max(self.shipped, 1)

    @property
    def kept_share(self) -> float:
        """Share of the rightly filed photos that stay."""
        return self.kept / max(self.genuine, 1)

    @property
    def returned_share(self) -> float:
        """Share of the photos put under a wrong person that end under their true person."""
        return self.returned / max(self.misfiled, 1)


def photos_of(folder: str) -> list[Path]:
    """The photos of ``SHARED/data/<folder>``, sorted."""
    return sorted(path for path in (SHARED / "data" / folder).glob("*/*") if path.is_file())


def measure_set(folder: str) -> list[PhotoRows]:
    """Measure the photos of ``SHARED/data/<folder>`` with the first pack, in their order."""
    pack = load_pack(SHARED / "models" / PACKS[0])
    return list(measure_photos(_items(photos_of(folder)), pack, FacesConfig()))


def load_galleries(folder: str, measured: Sequence[PhotoRows] | None = None) -> dict[str, Gallery]:
    """Measure the photos of ``SHARED/data/<folder>`` once, and embed them with both packs.

    ``measured`` is what ``measure_set`` gave, where that was done already.
    """
    root = SHARED / "data" / folder
    files = [path.relative_to(root).as_posix() for path in photos_of(folder)]
    rows = measure_set(folder) if measured is None else measured
    truth = json.loads((SHARED / "data" / "truth.json").read_text("utf-8"))["mislabelled"]
    packs = {name: load_pack(SHARED / "models" / name) for name in PACKS}
    return {name: _gallery(files, rows, pack, truth) for name, pack in packs.items()}


def _items(paths: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        data = path.read_bytes()
        yield hashlib.sha256(data).hexdigest(), data


def gallery_of(files: Sequence[str], measured: Sequence[PhotoRows], pack: ModelPack) -> Gallery:
    """Embed measured photos; the first part of each file's path is its person."""
    return _gallery(files, measured, pack, {})


def _gallery(
    files: Sequence[str],
    measured: Sequence[PhotoRows],
    pack: ModelPack,
    mislabelled: Mapping[str, str | None],
) -> Gallery:
    people = [file.split("/")[0] for file in files]
    names = tuple(sorted(set(people)))
    index: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    stems = [Path(file).stem for file in files]
    true_name = [mislabelled.get(s, p) for s, p in zip(stems, people, strict=True)]
    faces = [(photo, face) for photo, (_, found) in enumerate(measured) for face in found]
    crops = decode_crops([face.crop for _, face in faces])
    embedded = embed_crops(crops, pack.recogniser, threads=FacesConfig().threads)
    # As they come back from disk.
    vectors = embedded.vectors.astype(np.float16).astype(np.float32)
    photo = np.array([number for number, _ in faces], np.int64)
    prominence = np.array([face.prominence for _, face in faces], np.float32)
    most = np.zeros(len(files), np.float32)
    np.maximum.at(most, photo, prominence)
    return Gallery(
        names=names,
        files=tuple(files),
        truth=np.array([index.get(name, UNKNOWN) for name in true_name], np.int64),
        second=np.array([index.get(ALSO_SHOWS.get(s), UNKNOWN) for s in stems], np.int64),
        claimed=np.array([index[name] for name in people], np.int64),
        embeddings=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        photo=photo,
        prominence=prominence,
        place=np.array([_middle(measured[number], face) for number, face in faces]),
        main=prominence >= most[photo],
    )


def _middle(measured: PhotoRows, face: Any) -> tuple[float, float]:
    x1, y1, x2, y2 = face.box
    return (x1 + x2) / 2 / measured[0].width, (y1 + y2) / 2 / measured[0].height


def with_photos(gallery: Gallery, at_least: int) -> Gallery:
    """Leave out the classes of fewer photos."""
    photos = np.bincount(gallery.claimed, minlength=len(gallery.names))
    kept = photos[gallery.claimed] >= at_least
    return replace(gallery, claimed=np.where(kept, gallery.claimed, -1))


def misfile(gallery: Gallery, share: float, seed: int) -> Gallery:
    """Move a share of the photos to a random other person each."""
    rng = np.random.default_rng(seed)
    photos = np.flatnonzero(gallery.claimed >= 0)
    classes = np.unique(gallery.claimed[photos])
    moved = rng.choice(photos, size=round(share * len(photos)), replace=False)
    at = np.searchsorted(classes, gallery.claimed[moved])
    step = rng.integers(1, len(classes), size=len(moved))
    claimed = gallery.claimed.copy()
    claimed[moved] = classes[(at + step) % len(classes)]
    return replace(gallery, claimed=claimed)


def cut_in_two(
    gallery: Gallery, people: int, at_least: int, seed: int
) -> tuple[Gallery, set[tuple[int, int]]]:
    """Give half of the photos of some people a second name; returns the pairs of classes."""
    rng = np.random.default_rng(seed)
    photos = np.bincount(gallery.claimed[gallery.claimed >= 0], minlength=len(gallery.names))
    chosen = rng.choice(np.flatnonzero(photos >= at_least), size=people, replace=False)
    claimed, truth = gallery.claimed.copy(), gallery.truth.copy()
    names, pairs = list(gallery.names), set()
    for person in chosen:
        own = rng.permutation(np.flatnonzero(gallery.claimed == person))
        half = own[: len(own) // 2]
        claimed[half] = np.where(claimed[half] == person, len(names), claimed[half])
        truth[half] = np.where(truth[half] == person, len(names), truth[half])
        pairs.add((int(person), len(names)))
        names.append(f"{gallery.names[person]} (2)")
    return replace(gallery, names=tuple(names), claimed=claimed, truth=truth), pairs


def score(clean: Gallery, noisy: Gallery, rows: IntArray, result: IntraResult) -> Figures:
    """Count what became of each photo; ``rows`` are the gallery's rows of the cleaned faces."""
    photo, final = result.claims.photo, result.identity
    face = rows[result.face]
    shown = np.where(noisy.main[face], noisy.truth[photo], noisy.second[photo])
    shipped = final >= 0
    wrong = shipped & (shown != final)
    claimed = noisy.claimed[photo]
    moved = claimed != clean.claimed[photo]
    genuine = ~moved & (noisy.truth[photo] == claimed)
    outcome = np.array([reason.outcome for reason in result.reasons])
    kept = genuine & (outcome == Outcome.KEPT) & ~wrong
    returned = moved & (outcome == Outcome.MOVED) & (final == noisy.truth[photo]) & ~wrong
    return Figures(
        photos=len(photo),
        misfiled=int(moved.sum()),
        shipped=int(shipped.sum()),
        wrong=int(wrong.sum()),
        genuine=int(genuine.sum()),
        kept=int(kept.sum()),
        returned=int(returned.sum()),
        held_classes=sum(reason is not None for reason in result.classes.held),
        wrong_files=tuple(noisy.files[p] for p in photo[wrong]),
    )
