"""The exclusion stage: ties by name, face and photo, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cleaning.identity.calibrate_merge import calibrate_merge
from cleaning.stages.exclude import ExcludeInput, find_excluded
from cleaning.stages.excluded_set import ExcludedSet
from cleaning.stages.exclusion import Exclusion, load_exclusion
from cleaning.stages.measured import Measured
from cleaning.stages.photo_decisions import Judged, judge
from facedata.errors import SourceError
from facedata.ledger import Reason
from facedata.options import InterOptions
from facedata.records import ImageRecord, LedgerRow, PhotoRecord
from facedata.stages import StageResult
from facedata.storage import Storage

INTRA = StageResult(stage="intra", key="k", folder="f", files={"l": "0"}, counts={}, facts={})
MakeRow = Callable[..., LedgerRow]


@dataclass
class Crops:
    """A reader that knows no crop: nothing here looks like a copy."""

    def some(self, faces: Collection[str]) -> Mapping[str, bytes]:
        assert not faces
        return {}


def measured_of(directions: Mapping[str, list[float]], unusable: Collection[str] = ()) -> Measured:
    """One face per image, ``<image>-0``, by direction of its embedding; without hashes."""
    vectors = np.array(list(directions.values()), np.float64).reshape(len(directions), 3)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ones = pa.array([0.75] * len(directions), pa.float32())
    images = {*directions, *unusable}
    photos = {
        image: PhotoRecord(
            image_id=image,
            width=100,
            height=100,
            perceptual_hash=None,
            problem="no_face" if image in unusable else None,
        )
        for image in sorted(images)
    }
    columns = {
        "face_id": pa.array([f"{image}-0" for image in directions], pa.string()),
        "image_id": pa.array(list(directions), pa.string()),
        "det_score": ones,
        "prominence": ones,
    }
    return Measured(photos=photos, faces=pa.table(columns), embeddings=vectors.astype(np.float16))


def excluded_set(rows: list[LedgerRow], measured: Measured, **changes: Any) -> ExcludedSet:
    images = [
        ImageRecord(
            image_id=row.image_id,
            source="lfw",
            source_uri=row.source_uri,
            claimed_identity=row.claimed_identity,
            location="",
            size_bytes=1,
        )
        for row in rows
    ]
    made = ExcludedSet(
        name="lfw",
        by_name=True,
        claims="claims",
        images=images,
        measured=measured,
        crops=Crops(),  # type: ignore[arg-type]
        cleaned=INTRA,
        rows=rows,
    )
    return replace(made, **changes)


OURS = {"a1": [1, 0, 0], "a2": [0.9, 0.1, 0], "b1": [0, 1, 0], "b2": [0, 1, 0.2], "c1": [0, 0, 1]}
THEIRS = {"x1": [1, 0.1, 0], "x2": [0, 1, 0], "y1": [0, 0.8, 0.7], "z1": [0, -1, 0]}


@pytest.fixture
def ours(row: MakeRow) -> Judged:
    names = {"a": "Ann_Lee", "b": "Bo", "c": "Carol Ek"}
    rows = [row(image, names[image[0]]) for image in OURS]
    return judge(rows, [], measured_of(OURS))


@pytest.fixture
def theirs(row: MakeRow) -> list[LedgerRow]:
    """Xu's second photo is a wrong one; Yi's set has no clear person, and Ek's face is nobody's."""
    return [
        row("x1", "Xu"),
        row("x2", "Xu", Reason.OUTLIER),
        row("y1", "Yi", Reason.NO_MAIN_CLUSTER),
        row("z1", "Ék, Carol"),
    ]


def find(storage: Storage, ours: Judged, sets: list[ExcludedSet], **options: Any) -> StageResult:
    given = ExcludeInput(
        intra=INTRA,
        judged=ours,
        measured=measured_of(OURS),
        crops=Crops(),  # type: ignore[arg-type]
        options=InterOptions(**({"threshold": 0.7} | options)),
        seed=0,
        sets=sets,
    )
    return find_excluded(storage, given).result


def ties(exclusion: Exclusion) -> list[tuple[str, str, str, float | None]]:
    return [
        (
            row.how,
            row.identity,
            row.excluded_identity,
            None if row.similarity is None else round(row.similarity, 3),
        )
        for row in exclusion.findings
    ]


def test_people_are_found_by_name_and_by_face(
    tmp_path: Path, ours: Judged, theirs: list[LedgerRow]
) -> None:
    storage = Storage(tmp_path)
    result = find(storage, ours, [excluded_set(theirs, measured_of(THEIRS))])
    exclusion = load_exclusion(storage, result)
    # Bo is exactly like the wrong photo under Xu, which excludes nobody; but near Yi's, a set of
    # photos that does not say who Yi is. Carol's namesake looks nothing like her.
    assert ties(exclusion) == [
        ("name", "Carol Ek", "Ék, Carol", 0.0),
        ("face", "Ann_Lee", "Xu", 1.0),
        ("face", "Bo", "Yi", 0.867),
    ]
    face = exclusion.findings[1]
    assert (face.face_id, face.excluded_face_id, face.excluded_set) == ("a2-0", "x1-0", "lfw")
    assert exclusion.identities() == {
        "Carol Ek": Reason.EXCLUDED_NAME,
        "Ann_Lee": Reason.EXCLUDED_FACE,
        "Bo": Reason.EXCLUDED_FACE,
    }
    assert (exclusion.threshold, exclusion.is_calibrated) == (0.7, False)
    assert result.counts == {"sets": 1, "by_name": 1, "by_face": 2, "photos": 0}
    assert exclusion.sets == [
        {"name": "lfw", "by_name": True, "identities": 3, "images": 4, "unusable": 0, "faces": 3}
    ]


def test_a_set_with_its_own_names_excludes_nobody_by_name(
    tmp_path: Path, ours: Judged, theirs: list[LedgerRow]
) -> None:
    storage = Storage(tmp_path)
    result = find(storage, ours, [excluded_set(theirs, measured_of(THEIRS), by_name=False)])
    exclusion = load_exclusion(storage, result)
    assert {row.how for row in exclusion.findings} == {"face"}
    assert exclusion.names == []


def test_a_photo_of_the_set_is_found_whatever_it_shows_there(
    tmp_path: Path, row: MakeRow, ours: Judged
) -> None:
    storage = Storage(tmp_path)
    rows = [row("z1", "Zoe"), row("b1", "Zoe", Reason.OUTLIER)]
    measured = measured_of({"z1": [0, -1, 0], "b1": [0, 1, 0]})
    exclusion = load_exclusion(storage, find(storage, ours, [excluded_set(rows, measured)]))
    (photo,) = exclusion.findings
    assert (photo.how, photo.identity, photo.excluded_identity) == ("photo", "Bo", "Zoe")
    assert (photo.image_id, photo.excluded_image_id) == ("b1", "b1")
    assert exclusion.images() == {"b1"}
    assert exclusion.identities() == {}


def test_class_numbers_are_no_names(tmp_path: Path, row: MakeRow) -> None:
    storage = Storage(tmp_path)
    ours = judge([row("a1", "ms1m:7")], [], measured_of(OURS))
    sets = [excluded_set([row("z1", "lfw:7")], measured_of({"z1": [0, -1, 0]}))]
    assert load_exclusion(storage, find(storage, ours, sets)).findings == []


def test_the_threshold_is_calibrated_as_if_all_were_in_one_recipe(
    tmp_path: Path, ours: Judged, theirs: list[LedgerRow]
) -> None:
    storage = Storage(tmp_path)
    sets = [excluded_set(theirs, measured_of(THEIRS))]
    result = find(storage, ours, sets, threshold="auto", target_fmr=1e-3)
    both = measured_of({**OURS, **{name: THEIRS[name] for name in ("x1", "y1", "z1")}})
    identity = np.array([0, 0, 1, 1, 2, 3, 4, 5], np.int64)
    expected = calibrate_merge(both.embeddings.astype(np.float32), identity, 1e-3, 0)
    assert result.facts["threshold"] == expected.threshold


def test_it_is_found_again_until_something_changes(
    tmp_path: Path, ours: Judged, theirs: list[LedgerRow]
) -> None:
    storage = Storage(tmp_path)
    one = excluded_set(theirs, measured_of(THEIRS))
    first = find(storage, ours, [one])
    assert find(storage, ours, [one]).resumed
    others = [
        find(storage, ours, [replace(one, by_name=False)]),
        find(storage, ours, [replace(one, claims="other")]),
        find(storage, ours, [replace(one, left_out=2)]),
        find(storage, ours, [one, replace(one, name="more")]),
        find(storage, ours, [one], threshold=0.6),
        find(storage, replace(ours, changes="decided"), [one]),
    ]
    assert not any(result.resumed for result in others)
    assert others[2].facts["sets"][0]["unusable"] == 2
    assert len({result.key for result in (first, *others)}) == 7


def test_a_set_without_a_face_proves_nothing(tmp_path: Path, row: MakeRow, ours: Judged) -> None:
    rows = [row("z1", "Zoe", Reason.NO_FACE, face_id=None)]
    empty = excluded_set(rows, measured_of({}, unusable=["z1"]))
    with pytest.raises(SourceError, match="exclude lfw: no face found in any of its 1 images"):
        find(Storage(tmp_path), ours, [empty])


def test_nothing_left_to_exclude_from(tmp_path: Path, theirs: list[LedgerRow]) -> None:
    storage = Storage(tmp_path)
    nobody = judge([], [], measured_of(OURS))
    sets = [excluded_set(theirs, measured_of(THEIRS))]
    assert load_exclusion(storage, find(storage, nobody, sets)).findings == []
    assert find(storage, nobody, sets, threshold="auto").facts["calibration"] is not None
