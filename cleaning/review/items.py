"""What is put before people: questions about pairs, grids of photos, single photos; in batches.

A batch is planned before anything is sent, and its plan never changes: a push that was killed goes
on with the same plan, and every answer finds the question it belongs to by the question's key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from facedata.review import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """An identity as a reviewer sees it.

    ``faces`` are the face ids of its gallery in order of display; ``photos`` counts all its
    photos; ``sources`` are names or hosts; ``years`` is the span in which the photos of the
    gallery were taken, as text such as ``2004–2011``, empty when unknown.
    """

    identity: str
    photos: int
    faces: tuple[str, ...]
    sources: tuple[str, ...] = ()
    years: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairItem:
    """The question whether two identities are one person.

    ``face_a`` and ``face_b`` are the nearest two faces. ``chance_same`` in [0, 1] is what the
    machine expects. ``gold`` is the known answer of a control question, empty otherwise;
    ``earlier`` says in words what was answered before, for seniors.
    """

    key: str
    a: Side
    b: Side
    face_a: str
    face_b: str
    max_similarity: float
    centroid_similarity: float
    close_pairs: int
    chance_same: float
    gold: str = ""
    earlier: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoView:
    """A photo in question; ``kept`` is whether it would be released as things stand."""

    image_id: str
    face_id: str
    similarity: float | None
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GridItem:
    """The question which photos do not show an identity.

    ``reference`` shows the identity, with an empty gallery when nothing is certain; ``why`` says
    in words why people are asked.
    """

    key: str
    reference: Side
    photos: tuple[PhotoView, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditItem:
    """The question whether one photo shows an identity; ``reference`` does not contain it."""

    key: str
    reference: Side
    photo: PhotoView


Item = PairItem | GridItem | AuditItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Questions that are sent together; ``name`` is the kind and a number, ``pairs-0001``.

    ``overlap`` is how many people answer each question. ``model`` is the recogniser that
    measured the evidence.
    """

    name: str
    kind: Kind
    overlap: int
    model: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAnswer:
    """One person's answer to one question, as an append-only row; the latest one counts.

    ``answer`` is an ``Answer`` for pairs, a ``PhotoAnswer`` for an audit, ``seen`` or ``unsure``
    for a grid, and ``withdrawn`` when the person took the answer back. ``wrong`` are the image
    ids clicked in a grid, ``mixed`` the identities whose gallery shows more than one person.
    ``annotation`` is the server's id of the answer, ``answered_at`` ISO 8601 in UTC, ``seconds``
    the time spent, when known.
    """

    batch: str
    key: str
    annotator: str
    answer: str
    answered_at: str
    annotation: str = ""
    wrong: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()
    note: str = ""
    seconds: float | None = None


SEEN = "seen"
WITHDRAWN = "withdrawn"


def question_key(kind: Kind, subject: Sequence[str], asked_before: int) -> str:
    """Return the key of a question: 20 hex digits that depend on what is asked and how often.

    Asking about the same subject again, after an answer was taken back or contradicted, is
    another question.
    """
    text = json.dumps([kind.value, *subject, asked_before], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
