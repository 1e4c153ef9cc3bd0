"""What several people's answers to one question come to: the word with the most votes.

Every person has one vote, the latest answer. A tie is ``unsure``, and ``unsure`` is a word like
the others: two of four people who cannot tell are enough to leave a question undecided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cleaning.review.items import (
    WITHDRAWN,
    AuditItem,
    Batch,
    GridItem,
    Item,
    PairItem,
    PersonAnswer,
    PhotoView,
)
from facedata.review import Answer, Decision, PhotoAnswer, PhotoDecision

UNSURE = Answer.UNSURE.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome of a vote; ``voters`` are those who said ``word``, or all of them on a tie."""

    word: str
    voters: tuple[str, ...]
    is_tie: bool


def standing(answers: Iterable[PersonAnswer]) -> list[PersonAnswer]:
    """Return the answers to one question that count, one per annotator, in order of their names.

    The last row about an annotation says how it stands, also that it was withdrawn. Of several
    annotations by one person the one answered last counts.
    """
    by_annotation = {(row.annotator, row.annotation): row for row in answers}
    by_annotator: dict[str, PersonAnswer] = {}
    for row in by_annotation.values():
        before = by_annotator.get(row.annotator)
        is_newer = before is None or row.answered_at >= before.answered_at
        if row.answer != WITHDRAWN and is_newer:
            by_annotator[row.annotator] = row
    return [by_annotator[name] for name in sorted(by_annotator)]


def vote(words: Mapping[str, str]) -> Verdict:
    """Return what the people (annotator → word, at least one) say by the most votes."""
    counts = Counter(words.values())
    most = max(counts.values())
    winners = [word for word, count in counts.items() if count == most]
    is_tie = len(winners) > 1
    word = UNSURE if is_tie else winners[0]
    voters = sorted(name for name, said in words.items() if is_tie or said == word)
    return Verdict(word=word, voters=tuple(voters), is_tie=is_tie)


def pair_decision(item: PairItem, batch: Batch, answers: Sequence[PersonAnswer]) -> Decision | None:
    """Return the decision about a pair, ``None`` while fewer than the batch's overlap answered.

    ``answers`` are the rows about this question. ``decided_by`` are the people who said the
    winning word; ``decided_at`` is the latest answer of all, whose notes are joined.
    """
    votes = _complete(answers, batch.overlap)
    if not votes:
        return None
    verdict = vote({row.annotator: row.answer for row in votes})
    sides = sorted([(item.a.identity, item.face_a), (item.b.identity, item.face_b)])
    return Decision(
        identity_a=sides[0][0],
        identity_b=sides[1][0],
        decision=verdict.word,
        decided_by=", ".join(verdict.voters),
        decided_at=_answered_at(votes),
        note=_notes(votes),
        face_a=sides[0][1],
        face_b=sides[1][1],
        max_similarity=item.max_similarity,
        model=batch.model,
        kind=batch.kind.value,
    )


def photo_decisions(
    item: GridItem | AuditItem, batch: Batch, answers: Sequence[PersonAnswer]
) -> list[PhotoDecision]:
    """Return the decision about each photo of a question, none while answers are missing.

    ``answers`` are the rows about this question. In a grid a clicked photo is ``wrong`` and the
    others are ``right``; who is ``unsure`` about the grid is unsure about each photo of it.
    """
    votes = _complete(answers, batch.overlap)
    if not votes:
        return []
    photos = item.photos if isinstance(item, GridItem) else (item.photo,)
    return [_photo_decision(item, photo, batch, votes) for photo in photos]


def photo_word(item: GridItem | AuditItem, image_id: str, answer: PersonAnswer) -> str:
    """Return the ``PhotoAnswer`` about one photo that a person's answer to a question says."""
    if isinstance(item, AuditItem) or answer.answer == UNSURE:
        return answer.answer
    return PhotoAnswer.WRONG.value if image_id in answer.wrong else PhotoAnswer.RIGHT.value


def mixed_identities(item: Item, answers: Sequence[PersonAnswer], overlap: int) -> list[str]:
    """Return the identities of a question whose gallery more than half say shows several people.

    None while fewer than ``overlap`` people answered. In order of their names.
    """
    votes = _complete(answers, overlap)
    sides = (item.a, item.b) if isinstance(item, PairItem) else (item.reference,)
    flags = Counter(identity for row in votes for identity in set(row.mixed))
    return sorted(side.identity for side in sides if 2 * flags[side.identity] > len(votes))


def _photo_decision(
    item: GridItem | AuditItem, photo: PhotoView, batch: Batch, votes: Sequence[PersonAnswer]
) -> PhotoDecision:
    verdict = vote({row.annotator: photo_word(item, photo.image_id, row) for row in votes})
    return PhotoDecision(
        image_id=photo.image_id,
        identity=item.reference.identity,
        face_id=photo.face_id,
        decision=verdict.word,
        kind=batch.kind.value,
        decided_by=", ".join(verdict.voters),
        decided_at=_answered_at(votes),
        note=_notes(votes),
        similarity=photo.similarity,
        model=batch.model,
    )


def _complete(answers: Sequence[PersonAnswer], overlap: int) -> list[PersonAnswer]:
    """Return the answers that count, none of them while people are missing."""
    votes = standing(answers)
    return votes if len(votes) >= max(overlap, 1) else []


def _answered_at(votes: Sequence[PersonAnswer]) -> str:
    return max(row.answered_at for row in votes)


def _notes(votes: Sequence[PersonAnswer]) -> str:
    return "; ".join(note for row in votes if (note := row.note.strip()))
