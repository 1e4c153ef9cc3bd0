"""How right a build of the demo web was: what it shipped, compared with the truth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from demo.web import PhotoKind
from facedata.ledger import Outcome
from facedata.records import LedgerRow

Box = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """``truth.json`` of a rendered web (its format is described in ``demo.web_files``)."""

    person_of: Mapping[str, str | None]
    photos: Mapping[str, Mapping[str, Any]]
    same_person: tuple[tuple[str, str], ...]
    look_alikes: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file that ``demo.web_files.write_web`` wrote."""
        values = json.loads(path.read_text("utf-8"))
        return cls(
            person_of={person["name"]: person["person_id"] for person in values["people"]},
            photos=values["photos"],
            same_person=tuple((a, b) for a, b in values["same_person"]),
            look_alikes=tuple((a, b) for a, b in values["look_alikes"]),
        )

    def is_same_person(self, name_a: str, name_b: str) -> bool:
        """Whether two listed names are one person."""
        person = self.person_of.get(name_a)
        return person is not None and person == self.person_of.get(name_b)

    def photo_at(self, url: str) -> Mapping[str, Any] | None:
        """What a photo of the site shows, by its URL; None for the site's faults."""
        return self.photos.get(unquote(urlsplit(url).path).lstrip("/"))

    def person_in(self, photo: Mapping[str, Any], box: Box) -> str | None:
        """Who is in the box: the person of the truth's face that overlaps it most."""
        best = max(photo["faces"], key=lambda face: _overlap(face["box"], box), default=None)
        if best is None or _overlap(best["box"], box) == 0.0:
            return None
        return str(best["person_id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Counts of photos. ``misfiled`` ones stood in another person's gallery.

    ``wrong`` shipped photos show someone else than the identity they are shipped under.
    """

    shipped: int
    wrong: int
    genuine: int
    genuine_shipped: int
    misfiled: int
    misfiled_home: int
    copies: int
    copies_dropped: int


def score(truth: Truth, rows: Iterable[LedgerRow], boxes: Mapping[str, Box]) -> Score:
    """Compare a ledger with the truth.

    Args:
        truth: what is really there.
        rows: the released version's ledger; ``source_uri`` is the photo's URL.
        boxes: face id → x1, y1, x2, y2 in pixels, of every shipped face.
    """
    judged = [(row, photo) for row in rows if (photo := truth.photo_at(row.source_uri))]
    shipped = [(row, photo) for row, photo in judged if row.identity is not None]
    wrong = [
        row
        for row, photo in shipped
        if truth.person_in(photo, boxes[row.face_id or ""])
        != truth.person_of.get(row.identity or "")
    ]
    genuine = _of_kind(judged, PhotoKind.GENUINE)
    misfiled = [
        (row, photo)
        for row, photo in _of_kind(judged, PhotoKind.WRONG_PERSON)
        if photo["subject"] in truth.person_of.values()
    ]
    copies = _of_kind(judged, PhotoKind.EXACT_DUPLICATE)
    return Score(
        shipped=len(shipped),
        wrong=len(wrong),
        genuine=len(genuine),
        genuine_shipped=sum(row.identity is not None for row, _ in genuine),
        misfiled=len(misfiled),
        misfiled_home=sum(
            row.identity is not None and truth.person_of[row.identity] == photo["subject"]
            for row, photo in misfiled
        ),
        copies=len(copies),
        copies_dropped=sum(row.outcome == Outcome.DROPPED for row, _ in copies),
    )


def _of_kind(
    judged: Iterable[tuple[LedgerRow, Mapping[str, Any]]], kind: PhotoKind
) -> list[tuple[LedgerRow, Mapping[str, Any]]]:
    return [(row, photo) for row, photo in judged if photo["kind"] == kind]


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
