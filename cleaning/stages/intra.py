"""The intra-class stage: which photo shows whom, from the photos themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from cleaning.identity.config import IntraConfig
from cleaning.identity.faceset import FaceSet, IntArray
from cleaning.identity.intra import IntraResult, clean_identities
from cleaning.stages.copies import Copies, CopyPair, find_copies
from cleaning.stages.crops import CropReader
from cleaning.stages.measured import Measured
from facedata.ledger import Reason, count_outcomes, count_reasons
from facedata.recipe import Recipe
from facedata.records import ImageRecord, LedgerRow, to_parquet
from facedata.stages import StageOutput, StageResult, run_stage, stage_key
from facedata.storage import Storage

STAGE = "intra"
STAGE_VERSION = 3
LEDGER = "ledger.parquet"
COPIES = "copies.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntraInput:
    """What the cleaning inside identities looks at; ``claims`` is the ingest stage's digest."""

    recipe: Recipe
    claims: str
    images: Sequence[ImageRecord]
    measured: Measured
    parts: Sequence[tuple[StageResult, StageResult]]


def clean(storage: Storage, given: IntraInput) -> StageResult:
    """Judge every image, or return the stored judgement.

    ``ledger.parquet`` is the ledger as far as it is known now, row-aligned with the images;
    people's decisions come later. ``copies.parquet`` lists the photos that are one picture. The
    fact ``calibration`` holds thresholds and their evidence, ``held`` the identities held and
    why, ``copies`` the duplicate photos found.
    """
    options = given.recipe.intra
    settings = {
        "intra": options.model_dump(mode="json", exclude={"min_photos"}),
        "near_duplicates": given.recipe.faces.near_duplicates,
        "seed": given.recipe.seed,
    }
    inputs = {
        "claims": given.claims,
        "parts": [[faces.digest, embedded.digest] for faces, embedded in given.parts],
    }
    key = stage_key(STAGE, STAGE_VERSION, settings, inputs)
    return run_stage(storage, STAGE, key, lambda: _clean(storage, given))


def _clean(storage: Storage, given: IntraInput) -> StageOutput:
    crops = CropReader(storage, [faces for faces, _ in given.parts])
    copies = find_copies(given.images, given.measured, crops)
    claims = _Claims.of(given, copies)
    config = _config(given.recipe)
    result = clean_identities(claims.faces, config, given.recipe.seed)
    rows = _ledger(given, claims, result)
    held = zip(result.classes.identity, result.classes.held, strict=True)
    return StageOutput(
        files={
            LEDGER: to_parquet(LedgerRow, rows),
            COPIES: to_parquet(CopyPair, copies.pairs),
        },
        counts={"images": len(rows), **count_outcomes(rows), **count_reasons(rows)},
        facts={
            "calibration": {**asdict(result.calibration), "rounds": result.rounds},
            "held": {claims.names[i]: reason.value for i, reason in held if reason is not None},
            "copies": copies.counts(),
        },
    )


def _config(recipe: Recipe) -> IntraConfig:
    threshold = recipe.intra.threshold
    return IntraConfig(
        method=recipe.intra.method,
        threshold=None if threshold == "auto" else threshold,
        readmit=recipe.intra.readmit,
        move=recipe.intra.move,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claims:
    """Which images take part in the cleaning, as the arrays that it works on.

    ``refused`` maps rows of the images that do not take part to the reason. ``row_of`` finds the
    image row of a (photo, identity) pair of the face set, ``face_rows`` the measured face of
    each of its rows; ``names`` are the identities by index.
    """

    names: list[str]
    refused: Mapping[int, Reason]
    row_of: Mapping[tuple[int, int], int]
    faces: FaceSet
    face_rows: IntArray

    @classmethod
    def of(cls, given: IntraInput, copies: Copies) -> _Claims:
        names = sorted({image.claimed_identity for image in given.images})
        refused = _refused(given, copies)
        identity_of = {name: index for index, name in enumerate(names)}
        sources = sorted({image.source for image in given.images})
        source_of = {name: index for index, name in enumerate(sources)}
        photo_of: dict[str, int] = {}
        row_of: dict[tuple[int, int], int] = {}
        listed: list[tuple[int, int, int, int]] = []
        faces_of = given.measured.rows_of_images()
        for row, image in enumerate(given.images):
            if row in refused:
                continue
            photo = photo_of.setdefault(image.image_id, len(photo_of))
            identity = identity_of[image.claimed_identity]
            row_of[photo, identity] = row
            source = source_of[image.source]
            listed += [(face, photo, identity, source) for face in faces_of[image.image_id]]
        table = np.array(listed, np.int64).reshape(-1, 4)
        return cls(
            names=names,
            refused=refused,
            row_of=row_of,
            faces=_face_set(given.measured, table),
            face_rows=table[:, 0],
        )


def _face_set(measured: Measured, table: IntArray) -> FaceSet:
    rows = table[:, 0]
    vectors = measured.embeddings[rows].astype(np.float32)
    # float16 on disk: unit length again in float32.
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return FaceSet(
        embeddings=vectors,
        photo=np.ascontiguousarray(table[:, 1]),
        identity=np.ascontiguousarray(table[:, 2]),
        prominence=measured.column("prominence")[rows],
        source=np.ascontiguousarray(table[:, 3]),
    )


def _refused(given: IntraInput, copies: Copies) -> dict[int, Reason]:
    """Rows without a usable face, and copies of a photo that the same identity has already."""
    refused = dict.fromkeys(copies.exact, Reason.DUPLICATE)
    if given.recipe.faces.near_duplicates == "drop":
        refused.update({row: Reason.NEAR_DUPLICATE for row in copies.near if row not in refused})
    for row, image in enumerate(given.images):
        problem = given.measured.photos[image.image_id].problem
        if problem is not None and row not in refused:
            refused[row] = Reason(problem)
    return refused


def _ledger(given: IntraInput, claims: _Claims, result: IntraResult) -> list[LedgerRow]:
    face_ids = given.measured.face_ids()
    scores = given.measured.column("det_score")
    rows = [
        _row(image, claims.refused.get(number, Reason.OUTLIER))
        for number, image in enumerate(given.images)
    ]
    pairs = zip(result.claims.photo, result.claims.identity, strict=True)
    for claim, (photo, identity) in enumerate(pairs):
        number = claims.row_of[int(photo), int(identity)]
        final = int(result.identity[claim])
        face = int(claims.face_rows[result.face[claim]])
        similarity = float(result.similarity[claim])
        rows[number] = replace(
            _row(given.images[number], result.reasons[claim]),
            identity=claims.names[final] if final >= 0 else None,
            face_id=face_ids[face],
            det_score=float(scores[face]),
            similarity=None if np.isnan(similarity) else similarity,
        )
    return rows


def _row(image: ImageRecord, reason: Reason) -> LedgerRow:
    return LedgerRow(
        image_id=image.image_id,
        source=image.source,
        source_uri=image.source_uri,
        claimed_identity=image.claimed_identity,
        identity=None,
        outcome=reason.outcome.value,
        reason=reason.value,
        face_id=None,
        det_score=None,
        similarity=None,
    )
