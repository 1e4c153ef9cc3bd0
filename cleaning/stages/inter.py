"""The inter-class stage: pairs of identities whose nearest faces are closer than the threshold."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from cleaning.identity.join import minimum_cross_class
from cleaning.stages.intra import LEDGER
from cleaning.stages.measured import Measured
from cleaning.stages.settle import hopeful_identity
from facedata.records import CandidateRow, LedgerRow, to_parquet
from facedata.stages import StageOutput, StageResult, run_stage, stage_key
from facedata.storage import Storage

STAGE = "inter"
STAGE_VERSION = 1
CANDIDATES = "candidates.parquet"


def find_candidates(
    storage: Storage, intra: StageResult, measured: Measured, threshold: float
) -> StageResult:
    """Find the merge candidates among the main clusters, or return the stored result.

    Single photos that are held for want of evidence take part: the identity they may be merged
    into is that evidence. ``threshold`` is a cosine similarity.
    """
    key = stage_key(STAGE, STAGE_VERSION, {"threshold": threshold}, {"intra": intra.digest})

    def compute() -> StageOutput:
        rows = storage.read_records(intra.path(LEDGER), LedgerRow)
        candidates = _candidates(rows, measured, threshold)
        return StageOutput(
            files={CANDIDATES: to_parquet(CandidateRow, candidates)},
            counts={"candidates": len(candidates)},
            facts={"threshold": threshold},
        )

    return run_stage(storage, STAGE, key, compute)


def _candidates(
    rows: Sequence[LedgerRow], measured: Measured, threshold: float
) -> list[CandidateRow]:
    faces = sorted(
        {
            (identity, row.face_id)
            for row in rows
            if (identity := hopeful_identity(row)) is not None and row.face_id is not None
        }
    )
    if not faces:
        return []
    names = sorted({identity for identity, _ in faces})
    index = {name: i for i, name in enumerate(names)}
    row_of = {face_id: row for row, face_id in enumerate(measured.face_ids())}
    pairs = minimum_cross_class(
        measured.embeddings[[row_of[face_id] for _, face_id in faces]],
        np.array([index[identity] for identity, _ in faces], np.int64),
        threshold,
        threads=os.cpu_count() or 1,
    )
    return [
        CandidateRow(
            identity_a=names[a],
            identity_b=names[b],
            max_similarity=float(np.float32(similarity)),
            face_a=faces[face_a][1],
            face_b=faces[face_b][1],
            decision="pending",
            decided_by=None,
            decided_at=None,
        )
        for a, b, similarity, face_a, face_b in zip(
            pairs.identity_a,
            pairs.identity_b,
            pairs.max_similarity,
            pairs.face_a,
            pairs.face_b,
            strict=True,
        )
    ]
