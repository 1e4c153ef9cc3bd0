"""The inter-class stage: pairs of identities whose nearest faces are closer than the threshold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleaning.identity.calibrate_merge import calibrate_merge
from cleaning.identity.join import minimum_cross_class
from cleaning.stages.intra import LEDGER
from cleaning.stages.measured import Measured
from cleaning.stages.settle import hopeful_identity
from facedata.options import InterOptions
from facedata.records import LedgerRow, to_parquet
from facedata.review import CandidateRow
from facedata.stages import StageOutput, StageResult, run_stage, stage_key
from facedata.storage import Storage

STAGE = "inter"
STAGE_VERSION = 1
CANDIDATES = "candidates.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class InterInput:
    """What the inter-class stage looks at; ``seed`` draws the calibration's sample."""

    intra: StageResult
    measured: Measured
    options: InterOptions
    seed: int


def find_candidates(storage: Storage, given: InterInput) -> StageResult:
    """Find the merge candidates among the main clusters, or return the stored result.

    Single photos that are held for want of evidence take part: the identity they may be merged
    into is that evidence. The fact ``threshold`` is the similarity used; ``calibration`` what it
    was calibrated on, null when the recipe gives a number.
    """
    settings = {**given.options.model_dump(mode="json", exclude={"pending"}), "seed": given.seed}
    key = stage_key(STAGE, STAGE_VERSION, settings, {"intra": given.intra.digest})
    return run_stage(storage, STAGE, key, lambda: _find(storage, given))


def _find(storage: Storage, given: InterInput) -> StageOutput:
    rows = storage.read_records(given.intra.path(LEDGER), LedgerRow)
    members = _members(rows, given.measured)
    threshold, calibration = _threshold(members, given)
    candidates = _candidates(members, threshold) if members.face_ids else []
    return StageOutput(
        files={CANDIDATES: to_parquet(CandidateRow, candidates)},
        counts={"candidates": len(candidates)},
        facts={"threshold": threshold, "calibration": calibration},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Members:
    """The faces of the main clusters: their ids, unit rows (n, d) and identity indices (n,)."""

    names: list[str]
    face_ids: list[str]
    embeddings: NDArray[np.float16]
    identity: NDArray[np.int64]


def _members(rows: Sequence[LedgerRow], measured: Measured) -> _Members:
    faces = sorted(
        {
            (identity, row.face_id)
            for row in rows
            if (identity := hopeful_identity(row)) is not None and row.face_id is not None
        }
    )
    names = sorted({identity for identity, _ in faces})
    index = {name: i for i, name in enumerate(names)}
    row_of = {face_id: row for row, face_id in enumerate(measured.face_ids())}
    return _Members(
        names=names,
        face_ids=[face_id for _, face_id in faces],
        embeddings=measured.embeddings[[row_of[face_id] for _, face_id in faces]],
        identity=np.array([index[identity] for identity, _ in faces], np.int64),
    )


def _threshold(members: _Members, given: InterInput) -> tuple[float, dict[str, Any] | None]:
    if given.options.threshold != "auto":
        return given.options.threshold, None
    calibration = calibrate_merge(
        members.embeddings.astype(np.float32),
        members.identity,
        given.options.target_fmr,
        given.seed,
    )
    return calibration.threshold, asdict(calibration)


def _candidates(members: _Members, threshold: float) -> list[CandidateRow]:
    pairs = minimum_cross_class(
        members.embeddings, members.identity, threshold, threads=os.cpu_count() or 1
    )
    found = zip(
        pairs.identity_a,
        pairs.identity_b,
        pairs.max_similarity,
        pairs.face_a,
        pairs.face_b,
        strict=True,
    )
    return [
        CandidateRow(
            identity_a=members.names[a],
            identity_b=members.names[b],
            max_similarity=float(np.float32(similarity)),
            face_a=members.face_ids[face_a],
            face_b=members.face_ids[face_b],
            decision="pending",
            decided_by=None,
            decided_at=None,
        )
        for a, b, similarity, face_a, face_b in found
    ]
