"""A planned web as files: its photos rendered, and the truth about them.

:func:`write_web` writes below a folder:

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

The ``person_id`` of a false entry is null; ``demo.web`` says what that is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from demo.casting import person_of
from demo.develop import as_jpeg
from demo.photo import USUAL, Photo, RenderedFace, render_photo
from demo.web import PhotoKind, Web, WebPerson, WebPhoto

_NEAR_COPY_SCALE = (0.7, 0.95)
_PHOTO_SIZES = ((320, 256), (288, 288), (256, 320), (352, 288))


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
