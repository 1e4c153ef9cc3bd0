"""The celebrity web as planned: who is listed, and which photos each gallery shows.

A plan is a pure function of a seed and decides everything; ``demo.web_files`` renders it. A false
entry is a listed name that is no person (an award, an ensemble): its ``person_id`` is ``None`` and
its photos show a different person each, or nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from demo.casting import person_of
from demo.names import invent_names, not_a_person, sibling_name, slug, stage_name


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
