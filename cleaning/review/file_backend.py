"""The file backend of review: one page of pair galleries and a table to fill in.

The page works from a folder on disk, without a server and without anything from elsewhere.
Written below the review folder: ``index.html``, ``pairs.csv`` and ``faces/<face_id>.jpg``.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cleaning.review.pairs_csv import COLUMNS, decision_cells, pair_cells, write_pairs
from cleaning.review.thumbnail import to_jpeg
from facedata.names import have_one_name
from facedata.palette import palette_css
from facedata.review import PENDING, CandidateRow

PAIRS_PER_PAGE = 50
PAIRS_PER_BATCH = 1_000
PAGE_FILE = "index.html"
PAIRS_FILE = "pairs.csv"

Write = Callable[[str, bytes], None]
"""Stores bytes under a path relative to the review folder."""

CropOf = Callable[[str], bytes]
"""Returns the encoded aligned crop of a ``face_id``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryFace:
    """One face of a gallery; the caption is a word or two, or empty."""

    face_id: str
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """What a reviewer sees of an identity: some of its faces, and how many there are in all."""

    identity: str
    face_count: int
    faces: tuple[GalleryFace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    place: int
    row: CandidateRow
    gallery_a: Gallery
    gallery_b: Gallery


def in_review_order(candidates: Iterable[CandidateRow]) -> list[CandidateRow]:
    """Order candidates for people: undecided ones first, those with one name, then the nearest."""
    return sorted(
        candidates,
        key=lambda row: (
            row.decision != PENDING,
            not have_one_name(row.identity_a, row.identity_b),
            -row.max_similarity,
            row.identity_a,
            row.identity_b,
        ),
    )


def next_batch(candidates: Iterable[CandidateRow]) -> list[CandidateRow]:
    """Return the pairs that people see now, in review order; the others come after these."""
    return in_review_order(candidates)[:PAIRS_PER_BATCH]


def write_review(
    candidates: Sequence[CandidateRow],
    galleries: Mapping[str, Gallery],
    crop_of: CropOf,
    write: Write,
    *,
    title: str,
) -> None:
    """Write the review page, its images and ``pairs.csv``; the page comes last.

    The same input gives the same bytes. One crop is in memory at a time.

    Args:
        candidates: all pairs, in any order; decided ones are shown with their answer. The page
            and the table hold the next batch of them.
        galleries: the gallery of every identity in ``next_batch(candidates)``.
        crop_of: gives the crop of every face in the galleries and of each ``face_a``, ``face_b``.
        write: receives each file.
        title: name of the dataset.

    Raises:
        IntegrityError: when a crop is not an image.
    """
    rows = next_batch(candidates)
    for face_id in sorted(_faces_shown(rows, galleries)):
        write(image_path(face_id), to_jpeg(crop_of(face_id)))
    write(PAIRS_FILE, write_pairs(rows))
    write(PAGE_FILE, render_page(rows, galleries, title, later=len(candidates) - len(rows)))


def image_path(face_id: str) -> str:
    """Return the path of a face's image, relative to the review folder."""
    return f"faces/{quote(face_id, safe='')}.jpg"


def render_page(
    rows: Sequence[CandidateRow], galleries: Mapping[str, Gallery], title: str, *, later: int = 0
) -> bytes:
    """Return the page for rows in the order given; every word in it is escaped.

    ``later`` is how many more pairs come after these.
    """
    pairs = [
        _Pair(
            place=place,
            row=row,
            gallery_a=galleries[row.identity_a],
            gallery_b=galleries[row.identity_b],
        )
        for place, row in enumerate(rows, start=1)
    ]
    script = _asset("review.js")
    page = _environment().get_template("review.html.j2")
    return page.render(
        title=title,
        pairs=pairs,
        later=later,
        pages=[pairs[i : i + PAIRS_PER_PAGE] for i in range(0, len(pairs), PAIRS_PER_PAGE)],
        book=_book(rows),
        # Trusted: files of this package, not data.
        style=Markup(palette_css() + _asset("review.css")),
        script=Markup(script),
        script_digest=_source_digest(script),
    ).encode()


def _book(rows: Sequence[CandidateRow]) -> dict[str, object]:
    """Return what the page's script needs to write the same ``pairs.csv``."""
    pairs = []
    for row in rows:
        decision, decided_by = decision_cells(row)
        pairs.append({"cells": pair_cells(row), "decision": decision, "decided_by": decided_by})
    identity = hashlib.sha256(write_pairs(rows)).hexdigest()[:16]
    return {
        "id": identity,
        "columns": list(COLUMNS),
        "pairs_per_page": PAIRS_PER_PAGE,
        "pairs": pairs,
    }


def _faces_shown(rows: Iterable[CandidateRow], galleries: Mapping[str, Gallery]) -> set[str]:
    shown: set[str] = set()
    for row in rows:
        shown.update((row.face_a, row.face_b))
        for identity in (row.identity_a, row.identity_b):
            shown.update(face.face_id for face in galleries[identity].faces)
    return shown


def _source_digest(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _asset(name: str) -> str:
    return files("cleaning.review").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cleaning.review", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["have_one_name"] = have_one_name
    # The file's name is percent-encoded once for the disk; the browser decodes once more.
    environment.filters["image_path"] = lambda face_id: quote(image_path(face_id))
    return environment
