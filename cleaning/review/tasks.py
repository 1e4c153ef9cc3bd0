"""Questions as tasks of the review server, and annotations read back as answers; pure.

A task refers to its images by address only. An image is named by the faces on it, so that
questions about the same faces share it and nobody can guess the name of another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cleaning.review import task_pages as pages
from cleaning.review.items import SEEN, GridItem, Item, PairItem, PersonAnswer, Side
from cleaning.review.server import Annotation, JsonObject, ProjectSpec, TaskBody
from facedata.review import Answer, Kind, PhotoAnswer

AddressOf = Callable[[str], str]
"""Gives the address at which a browser finds the image of a name."""

PHOTO_KEYS = "123456789qwertyuio"
"""Hotkeys of the photos of a grid, in order: two rows of nine, as on the keyboard."""

_LAYOUT = 1  # another layout of the sheets needs other names

_PAIRS = (
    "<p>Are the people in the two galleries one person?</p><ul><li><b>S</b> same</li>"
    "<li><b>D</b> different</li><li><b>F</b> unsure</li><li><b>1</b>, <b>2</b> the left or right "
    "gallery itself shows several people</li></ul>"
)
_INSTRUCTIONS = {
    Kind.PAIRS: _PAIRS,
    Kind.SENIOR: _PAIRS,
    Kind.PHOTOS: (
        "<p>Click every photo that does not show the person at the top, or press its key; "
        "once more takes the mark away. With nothing marked, all photos are right.</p>"
        "<ul><li><b>F</b> unsure about the whole page</li></ul>"
    ),
    Kind.AUDIT: (
        "<p>Does the photo show the person in the gallery?</p><ul><li><b>S</b> right</li>"
        "<li><b>D</b> wrong</li><li><b>F</b> unsure</li></ul>"
    ),
}
# Markup and addresses: for the page, not for the list of tasks.
_NOT_LISTED = ("key", "closest", "galleries", "reference", "photos", "photo")
_SUBMIT = (
    "<p>Then submit: <b>Ctrl+Enter</b>, <b>Command+Enter</b> on a Mac, or just <b>Enter</b> where "
    "the server is set up so.</p>"
)
_CONFIGS = {
    Kind.PAIRS: "pairs",
    Kind.SENIOR: "pairs",
    Kind.PHOTOS: "photos",
    Kind.AUDIT: "audit",
}


def project_spec(kind: Kind, title: str, overlap: int) -> ProjectSpec:
    """Return how the project for questions of a kind is set up."""
    return ProjectSpec(
        title=title,
        label_config=pages.label_config(_CONFIGS[kind]),
        instruction=_INSTRUCTIONS[kind] + _SUBMIT,
        overlap=overlap,
        allow_empty=kind == Kind.PHOTOS,
        hidden=_NOT_LISTED,
    )


def image_name(faces: tuple[str, ...]) -> str:
    """Return the file name of the image that shows these faces in this order."""
    text = json.dumps([_LAYOUT, *faces], ensure_ascii=True)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.jpg"


def images_of(item: Item) -> dict[str, tuple[str, ...]]:
    """Return the names of the images a question needs, with the face ids on each.

    One face id is a single face, several are a sheet, as ``gallery_sheet`` draws it.
    """
    if isinstance(item, PairItem):
        groups = [(item.face_a,), (item.face_b,), item.a.faces, item.b.faces]
    else:
        photos = item.photos if isinstance(item, GridItem) else (item.photo,)
        groups = [item.reference.faces, *((photo.face_id,) for photo in photos)]
    return {image_name(faces): faces for faces in groups if faces}


def task_body(item: Item, address_of: AddressOf, model: str) -> TaskBody:
    """Return the task of a question; every word in it is escaped.

    Pairs carry the answer that the machine expects as a prediction, grids the photos it dropped.
    An audit carries none: it must be blind.
    """
    if isinstance(item, PairItem):
        return _pair_body(item, address_of, model)
    if isinstance(item, GridItem):
        return _grid_body(item, address_of, model)
    picture = _face(item.photo.face_id, address_of, pages.PHOTO_SIDE)
    reference = pages.reference_html(item.reference, _sheet(item.reference, address_of))
    return TaskBody(
        key=item.key,
        data={
            "key": item.key,
            "question": item.reference.identity,
            "photo": pages.photo_html(picture),
            "reference": reference,
        },
        model=model,
    )


def _pair_body(item: PairItem, address_of: AddressOf, model: str) -> TaskBody:
    same = item.chance_same >= 0.5
    faces = [_face(face, address_of, pages.FACE_SIDE) for face in (item.face_a, item.face_b)]
    sheets = [_sheet(side, address_of) for side in (item.a, item.b)]
    answer = Answer.SAME if same else Answer.DIFFERENT
    return TaskBody(
        key=item.key,
        data={
            "key": item.key,
            "question": f"{item.a.identity} / {item.b.identity}",
            "similarity": round(item.max_similarity, 2),
            "closest": pages.closest_html(item, faces[0], faces[1]),
            "galleries": pages.galleries_html(item, sheets[0], sheets[1]),
        },
        prediction=(_choices("answer", "closest", [answer.value]),),
        score=item.chance_same if same else 1.0 - item.chance_same,
        model=model,
    )


def _grid_body(item: GridItem, address_of: AddressOf, model: str) -> TaskBody:
    photos: list[JsonObject] = []
    for index, photo in enumerate(item.photos):
        choice = {"value": str(index + 1), "alias": photo.image_id}
        choice["html"] = pages.choice_html(address_of(image_name((photo.face_id,))))
        if index < len(PHOTO_KEYS):
            choice["hotkey"] = PHOTO_KEYS[index]
        photos.append(choice)
    dropped = [photo.image_id for photo in item.photos if not photo.kept]
    sheet = _sheet(item.reference, address_of)
    return TaskBody(
        key=item.key,
        data={
            "key": item.key,
            "question": item.reference.identity,
            "reference": pages.reference_html(item.reference, sheet, item.why),
            "photos": photos,
        },
        prediction=(_choices("wrong", "reference", dropped),) if dropped else (),
        model=model,
    )


def _face(face_id: str, address_of: AddressOf, side: int) -> pages.Picture:
    return pages.face_picture(address_of(image_name((face_id,))), side)


def _sheet(side: Side, address_of: AddressOf) -> pages.Picture | None:
    if not side.faces:
        return None
    return pages.sheet_picture(address_of(image_name(side.faces)), len(side.faces))


def _choices(name: str, to_name: str, values: list[str]) -> JsonObject:
    return {
        "from_name": name,
        "to_name": to_name,
        "type": "choices",
        "value": {"choices": values},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An annotation that holds no answer; ``problem`` says why, in one line."""

    problem: str


def read_answer(item: Item, batch_name: str, annotation: Annotation) -> PersonAnswer | Unreadable:
    """Return what a person answered, or why that cannot be told.

    Labels may have been edited by hand, so nothing about the result is taken for granted. Marks
    of controls that are not of this page are left aside.
    """
    if annotation.skipped:
        return Unreadable(problem="passed over without an answer")
    try:
        marks = {name: _marks(annotation.result, name) for name in ("answer", "wrong", "mixed")}
        answer = _one_answer(item, marks["answer"])
        photos = {photo.image_id for photo in item.photos} if isinstance(item, GridItem) else set()
        sides = {"a": item.a.identity, "b": item.b.identity} if isinstance(item, PairItem) else {}
        wrong = _known("photo", marks["wrong"], photos)
        return PersonAnswer(
            batch=batch_name,
            key=item.key,
            annotator=annotation.annotator,
            answer=answer,
            answered_at=annotation.answered_at,
            annotation=annotation.id,
            # Unsure is about the whole grid: marks beside it may be the machine's.
            wrong=tuple(sorted(wrong)) if answer == SEEN else (),
            mixed=tuple(sides[mark] for mark in _known("gallery", marks["mixed"], sides)),
            note="\n".join(_texts(annotation.result, "note", "text")),
            seconds=annotation.seconds,
        )
    except _StrangeError as strange:
        return Unreadable(problem=str(strange))


class _StrangeError(ValueError):
    """A result is not what the page would have made."""


def _one_answer(item: Item, marks: list[str]) -> str:
    if isinstance(item, GridItem):
        words: list[str] = [Answer.UNSURE]
        marks = marks or [SEEN]
        words.append(SEEN)
    else:
        words = list(Answer if isinstance(item, PairItem) else PhotoAnswer)
    if len(marks) != 1:
        given = ", ".join(marks) or "none"
        raise _StrangeError(f"one answer is needed, {given} given; answer it again")
    return str(_known("answer", marks, words)[0])


def _known(what: str, marks: list[str], known: Iterable[str]) -> list[str]:
    allowed = list(known)
    for mark in marks:
        if mark not in allowed:
            raise _StrangeError(
                f"the {what} {mark[:80]!r} is unknown; was the labelling page edited?"
            )
    return marks


def _marks(result: Iterable[Any], name: str) -> list[str]:
    """Return the choices made in a control, each once, in the order of the page's result."""
    return list(dict.fromkeys(_texts(result, name, "choices")))


def _texts(result: Iterable[Any], name: str, field: str) -> list[str]:
    """Return the texts in a field of the results of a control."""
    texts: list[str] = []
    for part in result:
        if not isinstance(part, dict) or part.get("from_name") != name:
            continue
        value = part.get("value")
        held = value.get(field) if isinstance(value, dict) else None
        held = [held] if isinstance(held, str) else held
        if not isinstance(held, list) or not all(isinstance(text, str) for text in held):
            raise _StrangeError(f"{name} holds no list of {field}; was the labelling page edited?")
        texts.extend(held)
    return texts
