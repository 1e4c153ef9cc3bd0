"""The rendered celebrity web: who is listed, which photos each gallery shows, the truth.

A web is a pure function of a seed. :func:`plan_web` decides everything, :func:`write_web` renders
it below a folder:

- ``site/photos/<slug>/<nnn>.jpg``: the photos, one folder per listed name;
- ``truth.json``: what is really there, for scoring only (never read by a build).

``truth.json`` is one object::

    {
      "seed": 7,
      "people": [{"name": "Zoë O’Malley", "slug": "zoe-o-malley", "person_id": "p0007"}, ...],
      "same_person": [["Zoë O’Malley", "Zoe Moon"], ...],      # two names, one person
      "look_alikes": [["Ana Brightwater", "Eva Brightwater"], ...],  # siblings: never one person
      "photos": {
        "photos/zoe-o-malley/000.jpg": {
          "claimed_name": "Zoë O’Malley",      # whose gallery shows it
          "claimed_person_id": "p0007",        # null for a false entry
          "subject": "p0007",                  # true main person; null when there is no face
          "kind": "genuine",                   # a PhotoKind value
          "copy_of": null,                     # path of the original of a duplicate
          "width": 288, "height": 360,
          "faces": [{"person_id": "p0007", "box": [x1, y1, x2, y2],
                     "landmarks": [[x, y], ... 5]}]   # pixels; largest (the subject) first
        }, ...
      }
    }

A false entry is a listed name that is no person (an award, an ensemble): its ``person_id`` is null
and its photos show a different person each, or nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from demo.casting import person_of
from demo.develop import as_jpeg
from demo.names import invent_names, not_a_person, sibling_name, slug, stage_name
from demo.photo import USUAL, Photo, RenderedFace, render_photo


class PhotoKind(StrEnum):
    """What a photo in a gallery really is."""

    GENUINE = "genuine"
    WRONG_PERSON = "wrong-person"
    EXACT_DUPLICATE = "exact-duplicate"
    NEAR_DUPLICATE = "near-duplicate"
    NO_FACE = "no-face"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPhoto:
    """One photo of one gallery, as planned.

    ``path`` is ``photos/<slug>/<nnn>.jpg``, relative to the site. ``cast`` lists the person ids in
    the photo, the subject first and companions after; it is empty when nobody is shown. A duplicate
    names its original in ``copy_of``: exact ones have the same bytes, near ones are resized and
    encoded again.
    """

    path: str
    kind: PhotoKind
    cast: tuple[str, ...]
    photo_seed: int
    copy_of: str | None = None

    @property
    def subject(self) -> str | None:
        """Person id of the main person, or ``None`` when nobody is shown."""
        return self.cast[0] if self.cast else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPerson:
    """One listed name and its gallery; ``person_id`` is ``None`` for a false entry."""

    name: str
    slug: str
    person_id: str | None
    photos: tuple[WebPhoto, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """A planned web: listed names in listing order, and the pairs of names that matter.

    ``same_person`` and ``look_alikes`` are pairs of listed names.
    """

    seed: int
    people: tuple[WebPerson, ...]
    same_person: tuple[tuple[str, str], ...]
    look_alikes: tuple[tuple[str, str], ...]


_COMPANY = 0.25  # share of photos that show somebody besides the subject
_NEAR_COPY_SCALE = (0.7, 0.95)
_PHOTO_SIZES = ((320, 256), (288, 288), (256, 320), (352, 288))


def plan_web(seed: int, people: int = 24, photos_per_person: int = 16) -> Web:
    """Plan a web of ``people`` listed names with about ``photos_per_person`` photos each.

    Among the names are one person under two names, one pair of look-alike siblings and one false
    entry. Each gallery has wrong people, an exact and a near duplicate mixed in, and most show
    companions. ``people`` must be at least 6 and ``photos_per_person`` at least 5, so that all of
    this finds room; otherwise :class:`ValueError`.
    """
    if people < 6 or photos_per_person < 5:
        raise ValueError(
            f"a web needs 6 people and 5 photos each, not {people} and {photos_per_person}"
        )
    ids = [f"p{seed * 1000 + index}" for index in range(people - 3)]
    women = [person_of(person_id).feminine > 0.5 for person_id in ids]
    names = invent_names(seed, women)
    sibling = f"{ids[1]}s{seed * 1000 + 900}"
    listed = [*zip(names, ids, strict=True)]
    taken = set(names)
    listed += [(stage_name(seed, names[0], taken), ids[0])]
    listed += [(sibling_name(seed, names[1], taken, woman=women[1]), sibling)]
    everyone = [*ids, sibling]
    galleries: list[WebPerson] = []
    for index, (name, person_id) in enumerate(listed):
        rng = np.random.default_rng((0x3EB, seed, index))
        photos = _gallery(rng, person_id, everyone, photos_per_person)
        galleries.append(_listed(name, person_id, photos))
    rng = np.random.default_rng((0x3EB, seed, people))
    galleries.append(_listed(not_a_person(seed), None, _false_gallery(rng, everyone)))
    return Web(
        seed=seed,
        people=tuple(sorted(galleries, key=lambda person: person.slug)),
        same_person=((names[0], listed[-2][0]),),
        look_alikes=((names[1], listed[-1][0]),),
    )


def _listed(name: str, person_id: str | None, photos: list[WebPhoto]) -> WebPerson:
    """Give the photos of a gallery their paths; ``copy_of`` holds a number until then."""
    folder = f"photos/{slug(name)}"
    paths = [f"{folder}/{number:03d}.jpg" for number in range(len(photos))]
    placed = (
        replace(
            photo, path=path, copy_of=None if photo.copy_of is None else paths[int(photo.copy_of)]
        )
        for path, photo in zip(paths, photos, strict=True)
    )
    return WebPerson(name=name, slug=slug(name), person_id=person_id, photos=tuple(placed))


def _gallery(
    rng: np.random.Generator, person_id: str, everyone: list[str], count: int
) -> list[WebPhoto]:
    """Return the photos of one person, wrong people and duplicates among them."""
    others = [other for other in everyone if other != person_id]
    wrong = max(1, round(count * rng.uniform(0.13, 0.22)))
    genuine = count - wrong
    photos = [_photo(rng, PhotoKind.GENUINE, person_id, others) for _ in range(genuine)]
    for _ in range(wrong):
        stranger = others[int(rng.integers(len(others)))]
        photos.append(_photo(rng, PhotoKind.WRONG_PERSON, stranger, [person_id], alone=True))
    photos = [photos[index] for index in rng.permutation(count)]
    if rng.random() < 0.35:
        photos.append(_nobody(rng))
    for kind in (PhotoKind.EXACT_DUPLICATE, PhotoKind.NEAR_DUPLICATE):
        if rng.random() < 0.6:
            original = int(rng.integers(count))
            photos.append(replace(photos[original], kind=kind, copy_of=str(original)))
    return photos


def _photo(
    rng: np.random.Generator,
    kind: PhotoKind,
    subject: str,
    others: list[str],
    *,
    alone: bool = False,
) -> WebPhoto:
    cast = [subject]
    if not alone and rng.random() < _COMPANY:
        count = int(rng.integers(1, 3))
        cast += [others[i] for i in rng.choice(len(others), min(count, len(others)), replace=False)]
    return WebPhoto(path="", kind=kind, cast=tuple(cast), photo_seed=int(rng.integers(2**31)))


def _nobody(rng: np.random.Generator) -> WebPhoto:
    return WebPhoto(path="", kind=PhotoKind.NO_FACE, cast=(), photo_seed=int(rng.integers(2**31)))


def _false_gallery(rng: np.random.Generator, everyone: list[str]) -> list[WebPhoto]:
    """Return the photos of a false entry: a different person each, and empty scenes."""
    chosen = rng.choice(len(everyone), 5, replace=len(everyone) < 5)
    photos = [_photo(rng, PhotoKind.WRONG_PERSON, everyone[int(i)], [], alone=True) for i in chosen]
    return [*photos, _nobody(rng), _nobody(rng)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What was written for one photo."""

    path: str
    height: int
    width: int
    faces: tuple[RenderedFace, ...]


def write_web(web: Web, folder: Path, *, processes: int = 2) -> Path:
    """Render the web below ``folder`` (``site/`` and ``truth.json``); returns the truth's path."""
    site = folder / "site"
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        galleries = pool.map(partial(_write_gallery, site), web.people)
        written = {entry.path: entry for gallery in galleries for entry in gallery}
    truth = folder / "truth.json"
    text = json.dumps(_truth(web, written), ensure_ascii=False, indent=1)
    truth.write_text(text + "\n", encoding="utf-8")
    return truth


def _write_gallery(site: Path, person: WebPerson) -> list[_Written]:
    cv2.setNumThreads(1)
    (site / "photos" / person.slug).mkdir(parents=True, exist_ok=True)
    done: dict[str, tuple[Photo, bytes]] = {}
    for photo in person.photos:
        rendered, encoded = _copied(photo, done) if photo.copy_of else _taken(photo)
        (site / photo.path).write_bytes(encoded)
        done[photo.path] = (rendered, encoded)
    return [
        _Written(path=path, height=len(photo.image), width=photo.image.shape[1], faces=photo.faces)
        for path, (photo, _) in done.items()
    ]


def _taken(photo: WebPhoto) -> tuple[Photo, bytes]:
    """Render a photo and encode it as JPEG."""
    size = _PHOTO_SIZES[photo.photo_seed % len(_PHOTO_SIZES)]
    if len(photo.cast) > 1:
        size = (288, 384)
    people = [person_of(person_id) for person_id in photo.cast]
    rendered = render_photo(people, photo.photo_seed, size=size, conditions=USUAL)
    return rendered, as_jpeg(rendered.image, 88)


def _copied(photo: WebPhoto, done: Mapping[str, tuple[Photo, bytes]]) -> tuple[Photo, bytes]:
    """Return an exact copy, or a smaller one encoded again."""
    original, encoded = done[str(photo.copy_of)]
    if photo.kind is PhotoKind.EXACT_DUPLICATE:
        return original, encoded
    low, high = _NEAR_COPY_SCALE
    factor = low + (high - low) * (photo.photo_seed % 100) / 100
    height, width = (round(side * factor) for side in original.image.shape[:2])
    small = cv2.resize(original.image, (width, height), interpolation=cv2.INTER_AREA)
    sx, sy = width / original.image.shape[1], height / original.image.shape[0]
    faces = tuple(_scaled(face, sx, sy) for face in original.faces)
    image = np.asarray(small, dtype=np.uint8)
    return Photo(image=image, faces=faces), as_jpeg(image, 72)


def _scaled(face: RenderedFace, sx: float, sy: float) -> RenderedFace:
    x1, y1, x2, y2 = face.box
    return replace(
        face,
        box=(x1 * sx, y1 * sy, x2 * sx, y2 * sy),
        landmarks=face.landmarks * np.array([sx, sy], dtype=np.float32),
    )


def _truth(web: Web, written: Mapping[str, _Written]) -> dict[str, Any]:
    photos = {
        photo.path: {
            "claimed_name": person.name,
            "claimed_person_id": person.person_id,
            "subject": photo.subject,
            "kind": photo.kind.value,
            "copy_of": photo.copy_of,
            "width": written[photo.path].width,
            "height": written[photo.path].height,
            "faces": [_face_truth(face) for face in written[photo.path].faces],
        }
        for person in web.people
        for photo in person.photos
    }
    return {
        "seed": web.seed,
        "people": [
            {"name": person.name, "slug": person.slug, "person_id": person.person_id}
            for person in web.people
        ],
        "same_person": [list(pair) for pair in web.same_person],
        "look_alikes": [list(pair) for pair in web.look_alikes],
        "photos": photos,
    }


def _face_truth(face: RenderedFace) -> dict[str, Any]:
    return {
        "person_id": face.person_id,
        "box": [round(float(value), 2) for value in face.box],
        "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in face.landmarks],
    }
