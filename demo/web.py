"""The plan of the rendered celebrity web: who is listed, which photos each gallery shows, the truth.

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

from dataclasses import dataclass
from enum import StrEnum


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
