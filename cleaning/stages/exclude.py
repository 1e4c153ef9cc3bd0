"""The exclusion stage: who among those that came in is somebody of an excluded set."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from cleaning.identity.calibrate_merge import calibrate_merge
from cleaning.identity.join_between import LabelledFaces, nearest_between, nearest_pair
from cleaning.identity.join_pairs import CrossClassPairs
from cleaning.stages.crops import CropReader
from cleaning.stages.excluded_photos import find_photos
from cleaning.stages.excluded_set import ExcludedSet
from cleaning.stages.measured import Measured
from cleaning.stages.members import Members, members_of
from cleaning.stages.photo_decisions import Judged
from cleaning.stages.settle import hopeful_identity
from facedata.exclusion import ExclusionRow, How
from facedata.names import name_key
from facedata.options import InterOptions
from facedata.records import to_parquet
from facedata.stages import StageOutput, StageResult, run_stage, stage_key
from facedata.storage import Storage

STAGE = "exclude"
STAGE_VERSION = 1
FINDINGS = "findings.parquet"
NAMES = "names.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedName:
    """A name that nobody in the version may have; ``key`` as of ``facedata.names.name_key``."""

    excluded_set: str
    excluded_identity: str
    key: str

    SCHEMA: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("excluded_set", pa.string(), nullable=False),
            pa.field("excluded_identity", pa.string(), nullable=False),
            pa.field("key", pa.string(), nullable=False),
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludeInput:
    """What the exclusion looks at: all that came in, as judged, and the excluded sets.

    ``options`` are those of the candidates, whose threshold it shares; ``seed`` draws the
    calibration's sample.
    """

    intra: StageResult
    judged: Judged
    measured: Measured
    crops: CropReader
    options: InterOptions
    seed: int
    sets: Sequence[ExcludedSet]


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """The stage's result, and the sets that it looked at."""

    result: StageResult
    sets: Sequence[ExcludedSet]


def find_excluded(storage: Storage, given: ExcludeInput) -> Excluded:
    """Find who must be kept out, or find the stored result.

    ``findings.parquet`` holds a row for every tie by name, face or photo; ``names.parquet`` all
    names that are out. The facts are the ``threshold``, its ``calibration`` (null when the recipe
    gives a number) and what each of the ``sets`` holds.

    Raises:
        SourceError: when an excluded set shows no face.
    """
    options = given.options.model_dump(mode="json", include={"threshold", "target_fmr"})
    inputs = {
        "intra": given.intra.digest,
        "changes": given.judged.changes,
        "sets": [excluded.inputs for excluded in given.sets],
    }
    key = stage_key(STAGE, STAGE_VERSION, {**options, "seed": given.seed}, inputs)
    result = run_stage(storage, STAGE, key, lambda: _find(given))
    return Excluded(result=result, sets=given.sets)


def _find(given: ExcludeInput) -> StageOutput:
    ours = members_of(given.judged.rows, given.measured, hopeful_identity)
    threshold, calibration = _threshold(ours, given)
    names = [name for excluded in given.sets for name in _names(excluded)]
    findings = [
        *_by_name(given, ours, names),
        *(row for excluded in given.sets for row in _by_face(ours, excluded, threshold)),
        *find_photos(given.judged.rows, given.measured, given.crops, given.sets),
    ]
    return StageOutput(
        files={
            FINDINGS: to_parquet(ExclusionRow, findings),
            NAMES: to_parquet(ExcludedName, names),
        },
        counts={
            "sets": len(given.sets),
            **{f"by_{how}": _people(findings, how) for how in (How.NAME, How.FACE)},
            "photos": len({row.image_id for row in findings if row.how == How.PHOTO}),
        },
        facts={
            "threshold": threshold,
            "calibration": calibration,
            "sets": [excluded.facts() for excluded in given.sets],
        },
    )


def _people(findings: Sequence[ExclusionRow], how: How) -> int:
    return len({row.identity for row in findings if row.how == how})


def _threshold(ours: Members, given: ExcludeInput) -> tuple[float, dict[str, Any] | None]:
    """The candidates' threshold, calibrated as if all were in one recipe."""
    if given.options.threshold != "auto":
        return given.options.threshold, None
    groups = [ours, *(excluded.gallery for excluded in given.sets)]
    groups = [group for group in groups if len(group)]
    offsets = np.cumsum([0, *(len(group.names) for group in groups)])
    identity = [group.identity + offset for group, offset in zip(groups, offsets, strict=False)]
    calibration = calibrate_merge(
        np.concatenate([group.embeddings for group in groups]).astype(np.float32),
        np.concatenate(identity),
        given.options.target_fmr,
        given.seed,
    )
    return calibration.threshold, asdict(calibration)


def _names(excluded: ExcludedSet) -> Iterator[ExcludedName]:
    if not excluded.by_name:
        return
    for identity in sorted({image.claimed_identity for image in excluded.images}):
        key = name_key(identity)
        if key is not None:
            yield ExcludedName(excluded_set=excluded.name, excluded_identity=identity, key=key)


def _by_name(
    given: ExcludeInput, ours: Members, names: Sequence[ExcludedName]
) -> Iterator[ExclusionRow]:
    by_key: dict[str, list[ExcludedName]] = {}
    for name in names:
        by_key.setdefault(name.key, []).append(name)
    gallery_of = {excluded.name: excluded.gallery for excluded in given.sets}
    rows = given.judged.rows
    for identity in sorted({row.claimed_identity for row in rows}):
        for name in by_key.get(name_key(identity) or "", ()):
            gallery = gallery_of[name.excluded_set]
            yield _nearest(ours, identity, gallery, name)


def _nearest(ours: Members, identity: str, gallery: Members, name: ExcludedName) -> ExclusionRow:
    """The tie by name, with how near the faces are where both have any."""
    own, theirs = _only(ours, identity), _only(gallery, name.excluded_identity)
    pairs = nearest_pair(labelled(own), labelled(theirs))
    found = bool(len(pairs))
    return ExclusionRow(
        how=How.NAME,
        identity=identity,
        excluded_set=name.excluded_set,
        excluded_identity=name.excluded_identity,
        similarity=_float32(pairs.max_similarity[0]) if found else None,
        face_id=own.face_ids[pairs.face_a[0]] if found else None,
        excluded_face_id=theirs.face_ids[pairs.face_b[0]] if found else None,
    )


def _only(members: Members, name: str) -> Members:
    place = bisect_left(members.names, name)
    is_there = place < len(members.names) and members.names[place] == name
    return members.only([place] if is_there else [])


def _by_face(ours: Members, excluded: ExcludedSet, threshold: float) -> list[ExclusionRow]:
    theirs = excluded.gallery
    pairs = nearest_between(
        labelled(ours), labelled(theirs), threshold, threads=os.cpu_count() or 1
    )
    return face_rows(How.FACE, excluded.name, (ours, theirs), pairs)


def face_rows(
    how: How, excluded_set: str, sides: tuple[Members, Members], pairs: CrossClassPairs
) -> list[ExclusionRow]:
    """What the join of our faces with those of a set found, as rows."""
    ours, theirs = sides
    columns = zip(
        pairs.identity_a.tolist(),
        pairs.identity_b.tolist(),
        pairs.max_similarity.tolist(),
        pairs.face_a.tolist(),
        pairs.face_b.tolist(),
        strict=True,
    )
    return [
        ExclusionRow(
            how=how,
            identity=ours.names[a],
            excluded_set=excluded_set,
            excluded_identity=theirs.names[b],
            similarity=_float32(similarity),
            face_id=ours.face_ids[face_a],
            excluded_face_id=theirs.face_ids[face_b],
        )
        for a, b, similarity, face_a, face_b in columns
    ]


def labelled(members: Members) -> LabelledFaces:
    """The faces as the join takes them."""
    return LabelledFaces(embeddings=members.embeddings, identity=members.identity)


def _float32(similarity: float) -> float:
    return float(np.float32(similarity))
