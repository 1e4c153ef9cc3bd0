"""Where each photo belongs, judged on its faces' similarities: with its class, or another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cleaning.identity.calibrate import Calibration
from cleaning.identity.centres import Centres, Neighbours, OwnSimilarity
from cleaning.identity.faceset import BoolArray, FloatArray, IntArray
from cleaning.identity.problem import Problem, best_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Each face row's similarities to its own class and to the nearest other classes."""

    own: OwnSimilarity
    others: Neighbours


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The judgement on each claim; all arrays (c,).

    ``stay_row`` int64: the face that stays in the claimed class, −1 for none. ``move_row`` and
    ``move_identity`` int64: the face that belongs to another class, and that class's number, −1
    for none; never set where ``stay_row`` is. ``doubtful`` bool: two people in the photo fit
    the claimed class about equally, so neither stays.
    """

    stay_row: IntArray
    doubtful: BoolArray
    move_row: IntArray
    move_identity: IntArray


def assign(
    problem: Problem, evidence: Evidence, centres: Centres, limits: Calibration
) -> Assignment:
    """Judge every claim on the evidence of its faces."""
    stay_row, doubtful = _staying(problem, evidence, centres, limits)
    homeless = stay_row[problem.claims.of_row] < 0
    # A class's only photo speaks for the class: its match elsewhere is a merge candidate.
    free = problem.class_photos[problem.row_class] > 1
    # A bystander's face does not make a photo one of the bystander's.
    allowed = homeless & free & problem.leading
    leads = np.flatnonzero(_leading(evidence, centres, limits) & allowed)
    move_row = best_rows(problem, evidence.others.similarity[leads, 0], leads)
    home = own_set_first(problem, problem.row_class, evidence.others, centres, limits)
    move_identity = np.where(move_row >= 0, home[move_row], -1)
    return Assignment(
        stay_row=stay_row, doubtful=doubtful, move_row=move_row, move_identity=move_identity
    )


def own_set_first(
    problem: Problem, origin: IntArray, near: Neighbours, centres: Centres, limits: Calibration
) -> IntArray:
    """The class that each of the ``near`` (n, 2) goes to when it leaves the class ``origin`` (n,).

    The nearest; but where the second shows the same person and is in a set that the origin is in
    too, while the nearest is not, that one: two sets that hold the same photo in the wrong place
    both move it, and neither then has it alone.
    """
    first, second = near.identity[:, 0], near.identity[:, 1]
    one_person = centres.mean_between(first, second) >= limits.same_person
    sources = problem.class_sources
    together = np.asarray((sources[origin, None] & sources[near.identity]).any(axis=2))
    home: IntArray = np.where(one_person & ~together[:, 0] & together[:, 1], second, first)
    return home


def _staying(
    problem: Problem, evidence: Evidence, centres: Centres, limits: Calibration
) -> tuple[IntArray, BoolArray]:
    own = evidence.own.similarity
    floor = np.where(problem.leading, limits.readmit, limits.readmit_bystander)
    fits = own >= floor
    rows = np.flatnonzero(fits)
    rows = rows[~_beaten(problem, evidence, centres, limits, rows)]
    best = best_rows(problem, own[rows], rows)
    doubtful = _doubtful(problem, own, fits, best, limits)
    return np.where(doubtful, -1, best), doubtful


def _beaten(
    problem: Problem, evidence: Evidence, centres: Centres, limits: Calibration, rows: IntArray
) -> BoolArray:
    """Which of ``rows`` are clearly nearer to another person's class than to their own."""
    behind = evidence.others.mean[rows, 0] - evidence.own.mean[rows] > limits.margin
    between = centres.mean_between(problem.row_class[rows], evidence.others.identity[rows, 0])
    beaten: BoolArray = behind & (between < limits.same_person)
    return beaten


def _doubtful(
    problem: Problem, own: FloatArray, fits: BoolArray, best: IntArray, limits: Calibration
) -> BoolArray:
    """Claims (c,) in whose photo two people fit about equally, and neither surely."""
    others = fits.copy()
    others[best[best >= 0]] = False
    rows = np.flatnonzero(others)
    runner = best_rows(problem, own[rows], rows)
    both = np.flatnonzero((best >= 0) & (runner >= 0))
    first, second = best[both], runner[both]
    close = own[first] - own[second] < limits.margin
    unsure = own[first] < limits.sure
    faces = problem.faces.embeddings
    alike = np.einsum("nd,nd->n", faces[first], faces[second])
    # Two boxes on one face, or a mirror: whichever is taken, it is the person.
    doubtful = np.zeros(len(best), dtype=bool)
    doubtful[both[close & unsure & (alike < limits.same_pair)]] = True
    return doubtful


def _leading(evidence: Evidence, centres: Centres, limits: Calibration) -> BoolArray:
    """Rows whose nearest other class is clearly theirs."""
    others = evidence.others
    reaches = others.similarity[:, 0] >= limits.move
    ahead_of_own = others.mean[:, 0] - evidence.own.mean >= limits.margin
    ahead_of_second = others.mean[:, 0] - others.mean[:, 1] >= limits.margin
    leads = reaches & ahead_of_own
    contested = np.flatnonzero(leads & ~ahead_of_second)
    pair = others.identity[contested]
    one_person = centres.mean_between(pair[:, 0], pair[:, 1]) >= limits.same_person
    leads[contested[~one_person]] = False
    return leads
