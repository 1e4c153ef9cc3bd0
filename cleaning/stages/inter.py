"""The inter-class stage: pairs of identities whose nearest faces are closer than the threshold."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleaning.identity.calibrate_merge import calibrate_merge
from cleaning.identity.join import minimum_cross_class
from cleaning.identity.join_pairs import CrossClassPairs
from cleaning.stages.copies import CopyPair
from cleaning.stages.measured import Measured
from cleaning.stages.members import Members, members_of
from cleaning.stages.photo_decisions import Judged
from cleaning.stages.settle import hopeful_identity
from facedata.options import InterOptions
from facedata.records import to_parquet
from facedata.review import PENDING, CandidateRow, Pair, PairEvidence
from facedata.stages import StageOutput, StageResult, run_stage, stage_key
from facedata.storage import Storage

STAGE = "inter"
STAGE_VERSION = 3
CANDIDATES = "candidates.parquet"
EVIDENCE = "evidence.parquet"
SEEN = "photo_decisions_seen"
"""The fact that says how many rows of the log of photo decisions the stage saw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterInput:
    """What the inter-class stage looks at; ``seed`` draws the calibration's sample.

    ``judged`` is the intra-class ledger after people's decisions about photos, ``copies`` the
    photos that are one picture.
    """

    intra: StageResult
    judged: Judged
    measured: Measured
    options: InterOptions
    seed: int
    copies: Sequence[CopyPair] = ()


def find_candidates(storage: Storage, given: InterInput) -> StageResult:
    """Find the merge candidates among the main clusters, or return the stored result.

    Single photos that are held for want of evidence take part: the identity they may be merged
    into is that evidence. Two identities that ship one face, of the same photo or of copies of it,
    are a candidate at any threshold.

    ``evidence.parquet`` holds what was measured, row-aligned with the candidates. The fact
    ``threshold`` is the similarity used; ``calibration`` what it was calibrated on, null when the
    recipe gives a number; ``photo_decisions_seen`` how much of the log a later step must look at
    to see the same photos.
    """
    settings = {**given.options.model_dump(mode="json", exclude={"pending"}), "seed": given.seed}
    inputs = {"intra": given.intra.digest, "changes": given.judged.changes}
    key = stage_key(STAGE, STAGE_VERSION, settings, inputs)
    return run_stage(storage, STAGE, key, lambda: _find(given))


def _find(given: InterInput) -> StageOutput:
    members = members_of(given.judged.rows, given.measured, hopeful_identity)
    threshold, calibration = _threshold(members, given)
    evidence = _evidence(members, threshold) if members.face_ids else []
    evidence += _sharing_a_face(members, given.copies, {row.pair for row in evidence})
    return StageOutput(
        files={
            CANDIDATES: to_parquet(CandidateRow, map(_candidate, evidence)),
            EVIDENCE: to_parquet(PairEvidence, evidence),
        },
        counts={"candidates": len(evidence)},
        facts={"threshold": threshold, "calibration": calibration, SEEN: given.judged.seen},
    )


def _threshold(members: Members, given: InterInput) -> tuple[float, dict[str, Any] | None]:
    if given.options.threshold != "auto":
        return given.options.threshold, None
    calibration = calibrate_merge(
        members.embeddings.astype(np.float32),
        members.identity,
        given.options.target_fmr,
        given.seed,
    )
    return calibration.threshold, asdict(calibration)


def _evidence(members: Members, threshold: float) -> list[PairEvidence]:
    pairs = minimum_cross_class(
        members.embeddings, members.identity, threshold, threads=os.cpu_count() or 1
    )
    photos = np.bincount(members.identity)
    columns = zip(
        pairs.identity_a.tolist(),
        pairs.identity_b.tolist(),
        pairs.max_similarity.tolist(),
        pairs.face_a.tolist(),
        pairs.face_b.tolist(),
        _centroid_similarity(members, pairs).tolist(),
        pairs.close_pairs.tolist(),
        strict=True,
    )
    return [
        PairEvidence(
            identity_a=members.names[a],
            identity_b=members.names[b],
            max_similarity=float(np.float32(similarity)),
            face_a=members.face_ids[face_a],
            face_b=members.face_ids[face_b],
            centroid_similarity=centroid,
            close_pairs=close,
            photos_a=int(photos[a]),
            photos_b=int(photos[b]),
        )
        for a, b, similarity, face_a, face_b, centroid, close in columns
    ]


def _sharing_a_face(
    members: Members, copies: Sequence[CopyPair], known: Set[Pair]
) -> list[PairEvidence]:
    """What is measured between identities that ship one face and are not known; nearest first."""
    owners: dict[str, set[int]] = defaultdict(set)
    for face_id, identity in zip(members.face_ids, members.identity.tolist(), strict=True):
        owners[face_id].add(identity)
    pairs = {pair for shared in owners.values() for pair in combinations(sorted(shared), 2)}
    for copy in copies:
        both = product(owners.get(copy.face_a, ()), owners.get(copy.face_b, ()))
        pairs |= {(min(pair), max(pair)) for pair in both if pair[0] != pair[1]}
    new = [
        pair
        for pair in sorted(pairs)
        if (members.names[pair[0]], members.names[pair[1]]) not in known
    ]
    found = [row for pair in new for row in _evidence(members.only(pair), -1.0)]
    # Below the threshold, or they would be known.
    apart = [replace(row, close_pairs=0) for row in found]
    return sorted(apart, key=lambda row: (-row.max_similarity, row.pair))


def _centroid_similarity(members: Members, pairs: CrossClassPairs) -> NDArray[np.float32]:
    """Cosine between the mean embeddings of both identities of each pair, (pairs,)."""
    wanted, index = np.unique(
        np.concatenate([pairs.identity_a, pairs.identity_b]), return_inverse=True
    )
    # Members are ordered by identity. Float64 adds float16 values exactly, in any order.
    starts = np.searchsorted(members.identity, wanted)
    stops = np.searchsorted(members.identity, wanted, side="right")
    centres = np.zeros((len(wanted), members.embeddings.shape[1]), np.float32)
    for row, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        mean = members.embeddings[start:stop].mean(axis=0, dtype=np.float64)
        # Opposite faces cancel out: such an identity has no direction, and is like nobody.
        centres[row] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    a, b = centres[index[: len(pairs)]], centres[index[len(pairs) :]]
    similarity: NDArray[np.float32] = np.einsum("ij,ij->i", a, b, dtype=np.float64).astype(
        np.float32
    )
    return similarity


def _candidate(evidence: PairEvidence) -> CandidateRow:
    return CandidateRow(
        identity_a=evidence.identity_a,
        identity_b=evidence.identity_b,
        max_similarity=evidence.max_similarity,
        face_a=evidence.face_a,
        face_b=evidence.face_b,
        decision=PENDING,
        decided_by=None,
        decided_at=None,
    )
