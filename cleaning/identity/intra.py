"""Intra-class cleaning: which photo shows the person it was filed under, and where else it goes.

1. Hierarchical clustering inside each class; the largest cluster, by photos, is the class.
2. Every face is compared with the centre of its own class (its own photo left out) and with the
   nearest other classes. A face that fits its own class comes back, or stays, unless another
   class is clearly ahead; a face that clearly belongs to another class moves there.
3. Classes without a clear main cluster are held.
Steps 2 and 3 repeat with the new classes until nothing changes. Thresholds are measured on the
data before the first cut, and once more after a first pass, when the classes are clean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cleaning.identity.calibrate import Calibration, calibrate_pairs
from cleaning.identity.config import IntraConfig
from cleaning.identity.faceset import BoolArray, Claims, FaceSet, FloatArray, IntArray
from cleaning.identity.problem import Problem, best_rows, core_faces, number_classes
from cleaning.identity.rounds import Pass, run_pass
from facedata.ledger import Reason

__all__ = ["ClassFacts", "IntraConfig", "IntraResult", "clean_identities"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFacts:
    """Facts per class, in the order of ``identity`` (the distinct claimed indices, rising).

    int64 (C,): ``photos`` claimed; ``main_photos`` in the main cluster of the first cut;
    ``kept`` and ``moved_in`` in the end; ``runner_up`` photos of the largest cluster that found
    no home. ``held`` tuple of C: the reason why the class is held, or None.
    """

    identity: IntArray
    photos: IntArray
    main_photos: IntArray
    kept: IntArray
    moved_in: IntArray
    runner_up: IntArray
    held: tuple[Reason | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntraResult:
    """The outcome of each claim (photo, claimed identity) and each face row.

    Per claim, in the order of ``claims``: ``reasons`` tuple of ``Reason`` (its ``outcome`` says
    kept, dropped, moved or held); ``identity`` int64 (c,) final class, −1 when dropped or held;
    ``face`` int64 (c,) the row of the chosen face, or where none was chosen of the face nearest
    to the claimed class; ``similarity`` float32 (c,) of that face to the centre it was judged
    against, nan where there was none. ``face_identity`` int64 (n,) is the final class of each
    shipped face row, −1 for all others.
    """

    claims: Claims
    reasons: tuple[Reason, ...]
    identity: IntArray
    face: IntArray
    similarity: FloatArray
    face_identity: IntArray
    classes: ClassFacts
    calibration: Calibration
    rounds: int


def clean_identities(faces: FaceSet, config: IntraConfig, seed: int) -> IntraResult:
    """Clean every class of a face set; ``seed`` only draws the calibration's samples."""
    problem = number_classes(faces)
    pairs = calibrate_pairs(faces.embeddings, faces.photo, faces.identity, seed)
    first = run_pass(problem, config, pairs, seed)
    clean = core_faces(problem, first.judgement.assignment.stay_row)
    if len(clean.rows):
        photo, known = faces.photo[clean.rows], pairs.different
        pairs = calibrate_pairs(clean.embeddings, photo, clean.identity, seed, prior=known)
    return _report(problem, run_pass(problem, config, pairs, seed))


def _report(problem: Problem, settled: Pass) -> IntraResult:
    found = settled.judgement.assignment
    stays = (found.stay_row >= 0) & ~settled.unclear[problem.claim_class]
    moves = ~stays & (found.move_row >= 0) & ~settled.unclear[found.move_identity]
    face = np.where(stays, found.stay_row, np.where(moves, found.move_row, -1))
    final = np.where(stays, problem.claim_class, np.where(moves, found.move_identity, -1))
    reasons = _reasons(problem, settled, stays, moves)
    twice = _claimed_twice(problem, settled, face, final)
    for claim in np.flatnonzero(twice):
        reasons[claim] = Reason.SAME_FACE_CLAIMED_TWICE
    final[twice] = -1
    shipped = final >= 0
    identity = np.where(shipped, problem.identities[final], -1)
    face_identity = np.full(len(problem.faces), -1, dtype=np.int64)
    face_identity[face[shipped]] = identity[shipped]
    shown, similarity = _shown_faces(problem, settled, face, moves)
    return IntraResult(
        claims=problem.claims,
        reasons=tuple(reasons),
        identity=identity,
        face=shown,
        similarity=similarity,
        face_identity=face_identity,
        classes=_class_facts(problem, settled, final, stays & shipped),
        calibration=settled.judgement.calibration,
        rounds=settled.rounds,
    )


def _reasons(problem: Problem, settled: Pass, stays: BoolArray, moves: BoolArray) -> list[Reason]:
    in_main = settled.main_row >= 0
    held = _held_reasons(problem, settled)
    return [
        (Reason.MAIN_CLUSTER if in_main[claim] else Reason.READMITTED)
        if stays[claim]
        else Reason.BELONGS_TO_OTHER
        if moves[claim]
        else held[problem.claim_class[claim]] or Reason.OUTLIER
        for claim in range(len(stays))
    ]


def _held_reasons(problem: Problem, settled: Pass) -> tuple[Reason | None, ...]:
    return tuple(
        None
        if not unclear
        else Reason.TAKEN_OVER
        if taken
        else Reason.SINGLE_PHOTO
        if photos == 1
        else Reason.NO_MAIN_CLUSTER
        for unclear, taken, photos in zip(
            settled.unclear, settled.taken_over, problem.class_photos, strict=True
        )
    )


def _claimed_twice(problem: Problem, settled: Pass, face: IntArray, final: IntArray) -> BoolArray:
    """Claims on a photo that end in the class of a better claim on the same photo.

    One that ends in another class keeps it: whether two classes are one person is not known yet.
    """
    twice = np.zeros(len(final), dtype=bool)
    shipped = np.flatnonzero((final >= 0) & problem.claims.shared)
    _, similarity = _shown_faces(problem, settled, face, final != problem.claim_class)
    photo = problem.claims.photo[shipped]
    order = np.lexsort((-similarity[shipped], final[shipped], photo))
    by_worth, photo = shipped[order], photo[order]
    repeats = (np.diff(photo, prepend=-1) == 0) & (np.diff(final[by_worth], prepend=-1) == 0)
    twice[by_worth[repeats]] = True
    return twice


def _shown_faces(
    problem: Problem, settled: Pass, face: IntArray, moves: BoolArray
) -> tuple[IntArray, FloatArray]:
    """Each claim's chosen or nearest face (c,) and its similarity to the judging centre."""
    evidence = settled.judgement.evidence
    own = evidence.own.similarity
    nearest = best_rows(problem, own, np.arange(len(own)))
    shown = np.where(face >= 0, face, nearest)
    similarity = np.where(moves, evidence.others.similarity[shown, 0], own[shown])
    known = np.where(similarity > -1.0, similarity, np.nan)
    # Matrix products differ in their last bits between machines; the report must not.
    return shown, np.round(known, 5).astype(np.float32)


def _class_facts(problem: Problem, settled: Pass, final: IntArray, kept: BoolArray) -> ClassFacts:
    classes = len(problem.identities)
    moved_in = final[(final >= 0) & ~kept]
    return ClassFacts(
        identity=problem.identities,
        photos=problem.class_photos,
        main_photos=settled.main_photos,
        kept=np.bincount(problem.claim_class[kept], minlength=classes).astype(np.int64),
        moved_in=np.bincount(moved_in, minlength=classes).astype(np.int64),
        runner_up=settled.runner_up,
        held=_held_reasons(problem, settled),
    )
