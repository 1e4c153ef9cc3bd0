"""The faces stage: one partition's images decoded, faces found, aligned and measured."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict

from cleaning.faces.config import FacesConfig
from cleaning.faces.measure import measure_photos
from cleaning.faces.pack import ModelPack
from facedata.errors import IntegrityError
from facedata.location import read_location
from facedata.records import FaceRecord, PhotoRecord, to_parquet
from facedata.stages import StageOutput, StageResult, run_stage, stage_key
from facedata.storage import Storage

STAGE = "faces"
STAGE_VERSION = 2
PHOTOS = "photos.parquet"
FACES = "faces.parquet"


def measure_partition(
    storage: Storage,
    locations: Mapping[str, str],
    pack: ModelPack,
    config: FacesConfig,
    aligned: Set[str] = frozenset(),
) -> StageResult:
    """Measure the faces of one partition, or return the stored result.

    Args:
        storage: the workspace.
        locations: image id → where its bytes lie.
        aligned: ids of images that are aligned faces where they have the size of one.
        pack: the models; only the detector's digest is part of the key.
        config: detection settings.

    Raises:
        StorageError: when an image cannot be read.
        IntegrityError: when an image changed since it was listed.
    """
    settings = {
        "min_score": config.min_score,
        "min_size": config.min_size,
        "det_size": config.det_size,
        "limits": asdict(config.limits),
    }
    inputs: dict[str, object] = {
        "images": sorted(locations),
        "detector": pack.detector.network.digest,
    }
    if aligned:
        inputs["aligned"] = sorted(aligned)
    key = stage_key(STAGE, STAGE_VERSION, settings, inputs)
    return run_stage(storage, STAGE, key, lambda: _measure(locations, pack, config, aligned))


def _measure(
    locations: Mapping[str, str], pack: ModelPack, config: FacesConfig, aligned: Set[str]
) -> StageOutput:
    photos: list[PhotoRecord] = []
    faces: list[FaceRecord] = []
    for photo, found in measure_photos(_read_images(locations), pack, config, aligned):
        photos.append(photo)
        faces.extend(found)
    faces.sort(key=lambda face: face.face_id)
    return StageOutput(
        files={PHOTOS: to_parquet(PhotoRecord, photos), FACES: to_parquet(FaceRecord, faces)},
        counts={"photos": len(photos), "faces": len(faces), **_problems(photos)},
    )


def _problems(photos: Sequence[PhotoRecord]) -> dict[str, int]:
    return dict(sorted(Counter(photo.problem for photo in photos if photo.problem).items()))


def _read_images(locations: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    for image_id, location in sorted(locations.items()):
        data = read_location(location)
        if hashlib.sha256(data).hexdigest() != image_id:
            raise IntegrityError(
                f"image {location}: changed since the source was listed; run again"
            )
        yield image_id, data
