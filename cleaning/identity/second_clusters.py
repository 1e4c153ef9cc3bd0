"""Second clusters as a whole: a group of photos that shows one person is judged together.

Photos of somebody younger, or behind a visor, may each be too far from the main cluster to come
back alone. Their mean similarity scatters less than each one's, by the length of the mean of
faces that correlate as one person's do, so its thresholds lie nearer to the different-person
level.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cleaning.identity.assign import Assignment, Evidence, own_set_first
from cleaning.identity.calibrate import Calibration
from cleaning.identity.centres import Centres, Neighbours, group_sums, nearest_others
from cleaning.identity.faceset import BoolArray, FloatArray, IntArray
from cleaning.identity.problem import Problem, best_rows

_MIN_PHOTOS = 2
_LEADING_SHARE = 1.0 / 3.0
_FACE_RATE = 0.05
"""Each face of a returning group must itself be no likelier than this to be a stranger's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Groups:
    """Homeless clusters of two photos or more, k of them; ``row`` and ``of_row`` int64 (m,):
    their face rows, one per photo, and which group each is in."""

    row: IntArray
    of_row: IntArray
    identity: IntArray
    size: IntArray
    leads: BoolArray
    own: FloatArray
    own_mean: FloatArray
    near: Neighbours
    length: FloatArray


def settle_groups(
    problem: Problem,
    of_row: IntArray,
    found: Assignment,
    evidence: Evidence,
    centres: Centres,
    limits: Calibration,
) -> Assignment:
    """Let homeless clusters stay or move as a whole; ``of_row`` int64 (n,) first-cut clusters."""
    groups = _homeless_groups(problem, of_row, found, evidence, centres)
    if not len(groups.size):
        return found
    stays = _stay(groups, centres, limits)
    moves = _move(groups, centres, limits) & ~stays
    face_floor = limits.centres.similarity_at(_FACE_RATE)
    stay_row, move_row = found.stay_row.copy(), found.move_row.copy()
    move_identity = found.move_identity.copy()
    claim = problem.claims.of_row[groups.row]
    back = stays[groups.of_row] & (evidence.own.similarity[groups.row] >= face_floor)
    stay_row[claim[back]] = groups.row[back]
    away = moves[groups.of_row] & problem.leading[groups.row]
    move_row[claim[away]] = groups.row[away]
    home = own_set_first(problem, groups.identity, groups.near, centres, limits)
    move_identity[claim[away]] = home[groups.of_row[away]]
    return replace(found, stay_row=stay_row, move_row=move_row, move_identity=move_identity)


def _homeless_groups(
    problem: Problem, of_row: IntArray, found: Assignment, evidence: Evidence, centres: Centres
) -> _Groups:
    claim = problem.claims.of_row
    homeless = (found.stay_row < 0) & (found.move_row < 0) & ~found.doubtful
    photos = _homeless_photos(claim, of_row, homeless)
    candidates = np.flatnonzero(homeless[claim] & (photos[of_row] >= _MIN_PHOTOS))
    # One face per photo: of the largest group the photo has a face in.
    row = best_rows(problem, photos[of_row[candidates]].astype(np.float32), candidates)
    row = row[row >= 0]
    clusters, group = np.unique(of_row[row], return_inverse=True)
    group = group.reshape(-1).astype(np.int64)
    size = np.bincount(group, minlength=len(clusters)).astype(np.int64)
    mean = group_sums(problem.faces.embeddings[row], group, len(clusters)) / size[:, None]
    length = np.linalg.norm(mean, axis=1)
    identity = np.zeros(len(clusters), dtype=np.int64)
    identity[group] = problem.row_class[row]
    unit = (mean / np.maximum(length, 1e-9)[:, None]).astype(np.float32)
    own = evidence.own
    return _Groups(
        row=row,
        of_row=group,
        identity=identity,
        size=size,
        leads=np.bincount(group, weights=problem.leading[row], minlength=len(clusters))
        >= _LEADING_SHARE * size,
        own=(np.bincount(group, weights=own.similarity[row]) / size).astype(np.float32),
        own_mean=(np.bincount(group, weights=own.mean[row]) / size).astype(np.float32),
        near=nearest_others(unit, identity[:, None], centres),
        length=length.astype(np.float32),
    )


def _homeless_photos(claim: IntArray, of_row: IntArray, homeless: BoolArray) -> IntArray:
    rows = np.flatnonzero(homeless[claim])
    pairs = np.unique(np.stack([of_row[rows], claim[rows]], axis=1), axis=0)
    count = int(of_row.max()) + 1 if len(of_row) else 0
    return np.bincount(pairs[:, 0], minlength=count).astype(np.int64)


def _stay(groups: _Groups, centres: Centres, limits: Calibration) -> BoolArray:
    fits = groups.own >= _group_threshold(limits.readmit, groups.size, limits)
    other = groups.near.mean[:, 0] * groups.length
    between = centres.mean_between(groups.identity, groups.near.identity[:, 0])
    beaten = (other - groups.own_mean > limits.margin) & (between < limits.same_person)
    stays: BoolArray = fits & ~beaten & (groups.size >= _MIN_PHOTOS)
    return stays


def _move(groups: _Groups, centres: Centres, limits: Calibration) -> BoolArray:
    near = groups.near
    reaches = near.similarity[:, 0] * groups.length >= _group_threshold(
        limits.move, groups.size, limits
    )
    lead = near.mean * groups.length[:, None]
    ahead_of_own = lead[:, 0] - groups.own_mean >= limits.margin
    one_person = centres.mean_between(near.identity[:, 0], near.identity[:, 1])
    ahead = (lead[:, 0] - lead[:, 1] >= limits.margin) | (one_person >= limits.same_person)
    moves: BoolArray = reaches & ahead_of_own & ahead & groups.leads & (groups.size >= _MIN_PHOTOS)
    return moves


def _group_threshold(
    threshold: float, size: IntArray, limits: Calibration
) -> npt.NDArray[np.float64]:
    """A face's threshold brought down to means of ``size`` (k,) faces of one person."""
    location = limits.pairs.different.location
    correlation = (limits.pairs.same_median - location) / max(1.0 - location, 1e-6)
    spread = np.sqrt(correlation + (1.0 - correlation) / size)
    level: npt.NDArray[np.float64] = (
        limits.centres.location + (threshold - limits.centres.location) * spread
    )
    return level
