"""Whether people of an evaluation set are in the training version: by name and by face.

A model that has seen the test people looks better than it is. Names find people listed twice; faces
find those listed under another name, and classes that hold somebody else's photos.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facedata.names import normalise_name
from training.evaluate.exact import (
    Embeddings,
    Float64,
    Int64,
    check_dimensions,
    check_embeddings,
    on_grid,
)

_WHAT = "overlap with the training version"
_FACES_AT_ONCE = 512
_CLASSES_AT_ONCE = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class SameName:
    """``person`` of the evaluation and ``identity`` of the version have one name, ``name``."""

    person: str
    identity: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestFace:
    """The nearest that any face of ``person`` comes to the version.

    ``similarity`` is the exact cosine; ``evaluation_row`` and ``training_row`` say between which
    rows, and ``identity`` is the training row's.
    """

    person: str
    identity: str
    similarity: float
    evaluation_row: int
    training_row: int


def same_names(people: Iterable[str], identities: Iterable[str]) -> list[SameName]:
    """People and identities with one normalised name; names without letters match as they are."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for identity in sorted(set(identities)):
        by_name[normalise_name(identity) or identity].append(identity)
    return [
        SameName(person=person, identity=identity, name=normalise_name(person) or person)
        for person in sorted(set(people))
        for identity in by_name.get(normalise_name(person) or person, ())
    ]


def nearest_faces(
    evaluation: tuple[Embeddings, NDArray[Any]], training: tuple[Embeddings, NDArray[Any]]
) -> list[NearestFace]:
    """Each evaluation person's nearest training row, exactly, over all pairs; nearest first.

    Memory is a few thousand rows at a time.

    Raises ``RequestError`` for shapes or values that do not fit.
    """
    check_embeddings(*evaluation, f"{_WHAT}, evaluation")
    check_embeddings(*training, f"{_WHAT}, training")
    check_dimensions(evaluation[0], training[0], _WHAT)
    similarity, column = _nearest_rows(evaluation[0], training[0])
    # By person, then nearest first: the first of each person is the answer.
    order = np.lexsort((-similarity, evaluation[1]))
    people = evaluation[1][order]
    first = order[np.flatnonzero(np.concatenate([[True], people[1:] != people[:-1]]))]
    found = [
        NearestFace(
            person=str(evaluation[1][row]),
            identity=str(training[1][column[row]]),
            similarity=float(similarity[row]),
            evaluation_row=int(row),
            training_row=int(column[row]),
        )
        for row in first
    ]
    return sorted(found, key=lambda nearest: (-nearest.similarity, nearest.person))


def _nearest_rows(evaluation: Embeddings, training: Embeddings) -> tuple[Float64, Int64]:
    """Highest similarity (n,) of each evaluation row and the first training row that has it."""
    best = np.full(len(evaluation), -np.inf)
    where = np.zeros(len(evaluation), dtype=np.int64)
    for first in range(0, len(training), _CLASSES_AT_ONCE):
        classes = on_grid(training[first : first + _CLASSES_AT_ONCE]).astype(np.float64).T
        for start in range(0, len(evaluation), _FACES_AT_ONCE):
            some = slice(start, start + _FACES_AT_ONCE)
            product = on_grid(evaluation[some]).astype(np.float64) @ classes
            column = product.argmax(axis=1)
            highest = product[np.arange(len(product)), column]
            where[some] = np.where(highest > best[some], first + column, where[some])
            best[some] = np.maximum(best[some], highest)
    return best, where
