"""The fixed point: judge all photos against the classes, rebuild the classes, judge again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cleaning.identity.assign import Assignment, Evidence, assign
from cleaning.identity.calibrate import (
    Calibration,
    Known,
    PairCalibration,
    Reach,
    calibrate_centres,
)
from cleaning.identity.centres import centres_of, nearest_others, own_similarity
from cleaning.identity.config import IntraConfig
from cleaning.identity.faceset import BoolArray, IntArray
from cleaning.identity.main_cluster import (
    Cut,
    MainClusters,
    cluster_classes,
    describe_cut,
    find_main_clusters,
    largest_clusters,
)
from cleaning.identity.problem import Problem, best_rows, core_faces
from cleaning.identity.second_clusters import settle_groups

_MAX_ROUNDS = 6
_MIN_PHOTOS = 2
_MIN_SHARE = 0.25
"""A class keeps at least this share of the photos that no other class explains, or it has no
main cluster."""
_RUNNER_UP_SHARE = 0.5
"""A homeless cluster of at least two photos and above this share of the kept ones is as good a
claim to the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One round: where photos belong, the similarities that say so, and the thresholds."""

    assignment: Assignment
    evidence: Evidence
    calibration: Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A settled judgement and what it rests on.

    ``main_row`` int64 (c,): each claim's face in the main cluster of the cut, −1 for none.
    ``unclear`` and ``taken_over`` bool (C,): classes without a clear main cluster, and those
    whose largest cluster is another class's person. ``main_photos`` and ``runner_up`` int64
    (C,): photos in the main cluster, and in the largest cluster that found no home.
    """

    judgement: Judgement
    main_row: IntArray
    unclear: BoolArray
    taken_over: BoolArray
    main_photos: IntArray
    runner_up: IntArray
    rounds: int


def run_pass(problem: Problem, config: IntraConfig, pairs: PairCalibration, seed: int) -> Pass:
    """Cut every class, then judge photos and rebuild classes until nothing changes."""
    cut, mains = _first_cut(problem, config, pairs)
    main_row = _main_rows(problem, cut, mains.cluster)
    unclear = (_photos_per_class(problem, main_row) < _MIN_PHOTOS) & config.hold
    stay_row = _without(problem, main_row, unclear)
    known = _known(problem, stay_row, pairs, seed)
    rounds = 0
    settled = False
    while not settled and rounds < _MAX_ROUNDS:
        rounds += 1
        judgement = _judge(problem, cut, stay_row, known)
        judgement = _limit(judgement, config, main_row)
        runner_up = _runner_up(problem, cut, judgement.assignment)
        lost = unclear | (_unclear(problem, judgement.assignment, runner_up) & config.hold)
        following = _without(problem, judgement.assignment.stay_row, lost)
        settled = np.array_equal(following, stay_row) and np.array_equal(lost, unclear)
        stay_row, unclear = following, lost
    return Pass(
        judgement=judgement,
        main_row=main_row,
        unclear=unclear,
        taken_over=mains.taken_over,
        main_photos=_photos_per_class(problem, main_row),
        runner_up=runner_up,
        rounds=rounds,
    )


def _first_cut(
    problem: Problem, config: IntraConfig, pairs: PairCalibration
) -> tuple[Cut, MainClusters]:
    threshold = pairs.cut(config.method) if config.threshold is None else config.threshold
    embeddings = problem.faces.embeddings
    of_row = cluster_classes(embeddings, problem.row_class, threshold, config.method)
    cut = describe_cut(problem, of_row, threshold)
    if config.hold:
        return cut, find_main_clusters(cut, problem, pairs)
    largest = largest_clusters(cut)
    return cut, MainClusters(cluster=largest, taken_over=np.zeros(len(largest), dtype=bool))


def _main_rows(problem: Problem, cut: Cut, main: IntArray) -> IntArray:
    """Each claim's face in its class's main cluster, the nearest to the cluster's centre."""
    in_main = np.flatnonzero(main[problem.row_class] == cut.of_row)
    centre = cut.total[cut.of_row[in_main]]
    score = np.einsum("nd,nd->n", problem.faces.embeddings[in_main], centre)
    return best_rows(problem, score, in_main)


def _known(problem: Problem, stay_row: IntArray, pairs: PairCalibration, seed: int) -> Known:
    core = core_faces(problem, stay_row)
    reach = Reach.of(core, centres_of(core, len(problem.identities)), pairs)
    return Known(pairs=pairs, reach=reach, seed=seed)


def _judge(problem: Problem, cut: Cut, stay_row: IntArray, known: Known) -> Judgement:
    faces, claim = problem.faces, problem.claims.of_row
    core = core_faces(problem, stay_row)
    centres = centres_of(core, len(problem.identities))
    excluded = np.where(
        (stay_row[claim] >= 0)[:, None], faces.embeddings[stay_row[claim]], np.float32(0)
    )
    evidence = Evidence(
        own=own_similarity(faces.embeddings, problem.row_class, excluded, centres),
        others=nearest_others(faces.embeddings, problem.barred[claim], centres),
    )
    limits = calibrate_centres(core, centres, known, cut.threshold)
    found = assign(problem, evidence, centres, limits)
    return Judgement(
        assignment=settle_groups(problem, cut.of_row, found, evidence, centres, limits),
        evidence=evidence,
        calibration=limits,
    )


def _limit(judgement: Judgement, config: IntraConfig, main_row: IntArray) -> Judgement:
    """Take back what the configuration does not want done."""
    found = judgement.assignment
    if not config.readmit:
        found = replace(found, stay_row=main_row)
    if not config.move:
        nothing = np.full_like(found.move_row, -1)
        found = replace(found, move_row=nothing, move_identity=nothing)
    return replace(judgement, assignment=found)


def _runner_up(problem: Problem, cut: Cut, found: Assignment) -> IntArray:
    """Photos of each class's largest cluster among the photos that found no home."""
    homeless = (found.stay_row < 0) & (found.move_row < 0)
    rows = np.flatnonzero(homeless[problem.claims.of_row])
    pairs = np.unique(np.stack([cut.of_row[rows], problem.claims.of_row[rows]], axis=1), axis=0)
    photos = np.bincount(pairs[:, 0], minlength=len(cut.identity))
    largest = np.zeros(len(problem.identities), dtype=np.int64)
    np.maximum.at(largest, cut.identity, photos)
    return largest


def _unclear(problem: Problem, found: Assignment, runner_up: IntArray) -> BoolArray:
    kept = _photos_per_class(problem, found.stay_row)
    own_photos = problem.class_photos - _photos_per_class(problem, found.move_row)
    too_few = (kept < _MIN_PHOTOS) | (kept < _MIN_SHARE * own_photos)
    outdone = (runner_up >= _MIN_PHOTOS) & (runner_up > _RUNNER_UP_SHARE * kept)
    unclear: BoolArray = too_few | outdone
    return unclear


def _photos_per_class(problem: Problem, row: IntArray) -> IntArray:
    chosen = problem.claim_class[row >= 0]
    return np.bincount(chosen, minlength=len(problem.identities)).astype(np.int64)


def _without(problem: Problem, row: IntArray, classes: BoolArray) -> IntArray:
    kept: IntArray = np.where(classes[problem.claim_class], -1, row)
    return kept
