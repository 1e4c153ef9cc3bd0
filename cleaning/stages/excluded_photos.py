"""Photos that came in and are in an excluded set too: by bytes, or the same picture."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cleaning.faces.config import usable_cores
from cleaning.stages.crops import CropReader
from cleaning.stages.excluded_set import ExcludedSet
from cleaning.stages.measured import Measured
from cleaning.stages.pictures_alike import Pictures, confirm, propose_by_face, propose_by_hash
from cleaning.stages.settle import hopeful_identity
from facedata.exclusion import ExclusionRow, How
from facedata.records import LedgerRow

_Shown = Mapping[str, list[str]]
"""Image id → the identities whose photo it is, in order of name."""


def find_photos(
    rows: Sequence[LedgerRow], measured: Measured, crops: CropReader, sets: Sequence[ExcludedSet]
) -> list[ExclusionRow]:
    """A row for each photo that would ship, and each image of a set that is the same picture.

    All images of a set count, whatever they show: a wrong photo excludes nobody, but a model that
    was trained on it has seen it.
    """
    shown = _shown(
        (row.image_id, identity) for row in rows if (identity := hopeful_identity(row)) is not None
    )
    ours = _Side(pictures=Pictures.of(measured).of_images(shown), crops=crops, shown=shown)
    return [row for excluded in sets for row in _in_set(ours, excluded)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """Pictures of one side, their crops, and whom they show."""

    pictures: Pictures
    crops: CropReader
    shown: _Shown


def _in_set(ours: _Side, excluded: ExcludedSet) -> list[ExclusionRow]:
    shown = _shown((image.image_id, image.claimed_identity) for image in excluded.images)
    same_bytes = ours.shown.keys() & shown.keys()
    # Of the same bytes, the faces have the same ids.
    pictures = Pictures.of(excluded.measured).of_images(shown.keys() - same_bytes)
    theirs = _Side(pictures=pictures, crops=excluded.crops, shown=shown)
    pairs = {(image_id, image_id) for image_id in same_bytes} | _alike(ours, theirs)
    return [
        ExclusionRow(
            how=How.PHOTO,
            identity=identity,
            excluded_set=excluded.name,
            excluded_identity=shown[other][0],
            similarity=None,
            face_id=None,
            excluded_face_id=None,
            image_id=image_id,
            excluded_image_id=other,
        )
        for image_id, other in sorted(pairs)
        for identity in ours.shown[image_id]
    ]


def _alike(ours: _Side, theirs: _Side) -> set[tuple[str, str]]:
    """Pairs of images, ours and theirs, that are one picture."""
    both = ours.pictures.joined(theirs.pictures)
    group = (np.arange(len(both)) >= len(ours.pictures)).astype(np.int64)
    by_hash = propose_by_hash(both)
    by_hash = by_hash[group[by_hash[:, 0]] != group[by_hash[:, 1]]]
    by_face = propose_by_face(both, group, threads=usable_cores())
    proposed = np.unique(np.concatenate([by_hash, by_face]), axis=0)
    own_faces = set(ours.pictures.face_ids)

    def crops_of(faces: Collection[str]) -> dict[str, bytes]:
        own = own_faces.intersection(faces)
        return {**ours.crops.some(own), **theirs.crops.some(set(faces) - own)}

    return {
        (both.image_ids[one], both.image_ids[other])
        for one, other in confirm(both, proposed, crops_of).tolist()
    }


def _shown(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for image_id, identity in pairs:
        found.setdefault(image_id, set()).add(identity)
    return {image_id: sorted(identities) for image_id, identities in found.items()}
