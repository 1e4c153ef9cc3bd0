"""The first cut of every class, its main cluster, and classes taken over by somebody else.

The main cluster is the one that covers most photos. Where it shows the person of another class,
the class is either that person's second name (then it is left alone: review merges it) or has
been taken over: it also holds a coherent cluster of its own, or the main cluster is a minority.
Only classes of one set speak against one another so: the names of one set stand for different
people, while two sets are expected to hold the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cleaning.identity.calibrate import PairCalibration
from cleaning.identity.centres import Centres, group_sums, nearest_others
from cleaning.identity.clustering import cluster
from cleaning.identity.faceset import BoolArray, FloatArray, IntArray
from cleaning.identity.problem import Problem

_RIVAL_PHOTOS = 2
_RIVAL_SHARE = 0.1
"""A second cluster is a rival from 2 photos and this share of the main cluster's photos."""
_OWNER_SHARE = 1.0 / 3.0
_OWNER_PHOTOS = 3
"""From this share and number of photos on, the rival of a main cluster that shows another
class's person is the one that the class is named for; a smaller one may be a companion, and the
class is held."""
_LEADING_SHARE = 1.0 / 3.0
"""A main cluster leads at least this share of its photos; other clusters are bystanders."""
_CLEAR_SHARE = 0.5
"""A main cluster with this share of the photos is the class's own, if it has no rival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The clusters of all classes, cut at ``threshold`` similarity.

    Cluster ids run over all classes, 0 … k − 1.

    ``of_row`` int64 (n,); per cluster: ``identity``, ``photos`` (distinct) and ``own_photos``
    (those that hold no face of the class's main cluster), int64 (k,); ``leading`` int64 (k,)
    faces that lead their photo; ``total`` float32 (k, d) summed embeddings; ``faces`` int64
    (k,).
    """

    threshold: float
    of_row: IntArray
    identity: IntArray
    photos: IntArray
    own_photos: IntArray
    leading: IntArray
    total: FloatArray
    faces: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class MainClusters:
    """``cluster`` int64 (C,): each class's main cluster, −1 without one of two photos.
    ``taken_over`` bool (C,): the largest cluster is another class's person and nothing of
    the class's own is left to stand on."""

    cluster: IntArray
    taken_over: BoolArray


def cluster_classes(
    embeddings: FloatArray, identity: IntArray, threshold: float, method: str
) -> IntArray:
    """Cluster each class on its own; int64 (n,) cluster ids, unique over all classes."""
    labels = np.zeros(len(identity), dtype=np.int64)
    order = np.argsort(identity, kind="stable")
    starts = np.flatnonzero(np.diff(identity[order], prepend=-1))
    next_id = 0
    for rows in np.split(order, starts[1:]) if len(order) else []:
        labels[rows] = cluster(embeddings[rows], threshold, method) + next_id
        next_id = int(labels[rows].max()) + 1
    return labels


def describe_cut(problem: Problem, of_row: IntArray, threshold: float) -> Cut:
    """Count and sum the clusters ``of_row`` int64 (n,) that a cut at ``threshold`` gave."""
    claim = problem.claims.of_row
    count = int(of_row.max()) + 1 if len(of_row) else 0
    size = np.bincount(of_row, minlength=count).astype(np.int64)
    of_cluster = np.zeros(count, dtype=np.int64)
    of_cluster[of_row] = problem.row_class
    photo_pairs = np.unique(np.stack([of_row, claim], axis=1), axis=0)
    photos = np.bincount(photo_pairs[:, 0], minlength=count).astype(np.int64)
    cut = Cut(
        threshold=threshold,
        of_row=of_row,
        identity=of_cluster,
        photos=photos,
        own_photos=photos,
        leading=np.bincount(of_row[problem.leading], minlength=count).astype(np.int64),
        total=group_sums(problem.faces.embeddings, of_row, count),
        faces=size,
    )
    in_main = np.isin(of_row, largest_clusters(cut))
    apart = photo_pairs[~np.isin(photo_pairs[:, 1], claim[in_main]), 0]
    return replace(cut, own_photos=np.bincount(apart, minlength=count).astype(np.int64))


def largest_clusters(cut: Cut) -> IntArray:
    """The cluster of most photos of each class 0 … C − 1.

    A photo whose leading face it is counts double: a companion can be in as many photos, and
    faces in the background are often too blurred to tell apart. Tightness decides ties.
    """
    tightness = np.linalg.norm(cut.total, axis=1) / cut.faces
    weight = cut.photos + np.minimum(cut.leading, cut.photos)
    order = np.lexsort((-tightness, -weight, cut.identity))
    _, first = np.unique(cut.identity[order], return_index=True)
    largest: IntArray = order[first].astype(np.int64)
    return largest


def find_main_clusters(cut: Cut, problem: Problem, pairs: PairCalibration) -> MainClusters:
    """Choose main clusters, relabelling or refusing classes taken over by another person."""
    main = largest_clusters(cut)
    main = np.where(_shown(cut)[main], main, -1)
    share = np.where(main >= 0, cut.photos[main] / np.maximum(problem.class_photos, 1), 0.0)
    means = _main_centres(cut, main)
    doubles = _double_of(main, means, problem.class_sources, pairs.same_person())
    rival = _rivals(cut, main, means, pairs)
    taken_over = np.zeros(len(main), dtype=bool)
    settled = main.copy()
    for one in np.flatnonzero(doubles >= 0):
        other = doubles[one]
        contested = rival[one] >= 0 and (rival[other] < 0 or share[one] < share[other])
        owned = contested and cut.own_photos[rival[one]] >= _OWNER_SHARE * cut.photos[main[one]]
        minority = rival[one] < 0 and rival[other] < 0 and share[one] < _CLEAR_SHARE <= share[other]
        if owned:
            settled[one] = rival[one]
        elif contested or minority:
            settled[one] = -1
            taken_over[one] = True
    return MainClusters(cluster=settled, taken_over=taken_over)


def _shown(cut: Cut) -> BoolArray:
    """Clusters that can stand for a class: two photos or more, and not of bystanders."""
    shown: BoolArray = (cut.photos >= _RIVAL_PHOTOS) & (cut.leading >= _LEADING_SHARE * cut.photos)
    return shown


def _main_centres(cut: Cut, main: IntArray) -> Centres:
    has = main >= 0
    total = np.where(has[:, None], cut.total[main], 0.0).astype(np.float32)
    count = np.where(has, cut.faces[main], 0).astype(np.int64)
    norm = np.linalg.norm(total, axis=1)
    return Centres(
        total=total,
        unit=total / np.maximum(norm, 1e-9)[:, None],
        length=(norm / np.maximum(count, 1)).astype(np.float32),
        count=count,
    )


def _double_of(
    main: IntArray, means: Centres, class_sources: BoolArray, same_person: float
) -> IntArray:
    """For each class, the class of the same set whose main cluster shows the same person.

    ``class_sources`` bool (C, s). −1 without one; the nearest where a class is in several sets.
    """
    double = np.full(len(main), -1, dtype=np.int64)
    nearest = np.full(len(main), same_person, dtype=np.float32)
    for members in class_sources.T:
        has = np.flatnonzero((main >= 0) & members)
        inside = replace(means, count=np.where(members, means.count, 0))
        near = nearest_others(means.unit[has], has[:, None], inside)
        mean = near.mean[:, 0] * means.length[has]
        found = mean >= nearest[has]
        double[has[found]] = near.identity[found, 0]
        nearest[has[found]] = mean[found]
    return double


def _rivals(cut: Cut, main: IntArray, means: Centres, pairs: PairCalibration) -> IntArray:
    """For each class, its largest coherent second cluster of a person that no class explains."""
    rival = np.full(len(main), -1, dtype=np.int64)
    main_photos = np.where(main >= 0, cut.photos[main], 0)[cut.identity]
    second = (cut.own_photos >= _RIVAL_PHOTOS) & (cut.own_photos >= _RIVAL_SHARE * main_photos)
    second &= _shown(cut) & (main[cut.identity] >= 0)
    second[main[main >= 0]] = False
    clusters = np.flatnonzero(second)
    if not len(clusters):
        return rival
    mean = cut.total[clusters] / cut.faces[clusters][:, None]
    length = np.linalg.norm(mean, axis=1)
    unit = (mean / np.maximum(length, 1e-9)[:, None]).astype(np.float32)
    near = nearest_others(unit, cut.identity[clusters][:, None], means)
    to_main = np.einsum("kd,kd->k", mean, means.total[cut.identity[clusters]])
    to_main /= means.count[cut.identity[clusters]]
    # A few photos apart from the main cluster may be the same person, younger or behind a visor.
    large = cut.own_photos[clusters] >= np.maximum(
        _OWNER_PHOTOS, _OWNER_SHARE * main_photos[clusters]
    )
    another = large | (to_main < pairs.other_person())
    own = clusters[another & (near.mean[:, 0] * length < pairs.same_person())]
    order = own[np.argsort(cut.own_photos[own], kind="stable")]
    rival[cut.identity[order]] = order
    return rival
