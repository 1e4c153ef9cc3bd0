"""What there is to know about a batch without its plan: its questions' keys and subjects.

A plan holds galleries and evidence, 1.5 KB a question; with a hundred open batches reading them
takes most of a push or a pull. An index holds a tenth of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cleaning.review.items import Batch, GridItem, Item, PairItem
from facedata.review import Kind, ordered_pair

Subject = tuple[str, str]
"""What a question is about: two identities, or an image id and an identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedQuestion:
    """A question's key, and what it is about."""

    key: str
    subjects: tuple[Subject, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchIndex:
    """A batch's questions; ``overlap`` is how many people answer each."""

    name: str
    kind: Kind
    overlap: int
    questions: tuple[IndexedQuestion, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The questions' keys, in order."""
        return tuple(question.key for question in self.questions)


def index_of(batch: Batch) -> BatchIndex:
    """The index of a batch."""
    return BatchIndex(
        name=batch.name,
        kind=batch.kind,
        overlap=batch.overlap,
        questions=tuple(
            IndexedQuestion(key=item.key, subjects=tuple(subjects_of(item))) for item in batch.items
        ),
    )


def kind_of(name: str) -> Kind:
    """The kind of question in a batch, by the batch's name."""
    return Kind(name.rsplit("-", 1)[0])


def subjects_of(item: Item) -> list[Subject]:
    """What a question is about."""
    if isinstance(item, PairItem):
        return [ordered_pair(item.a.identity, item.b.identity)]
    photos = item.photos if isinstance(item, GridItem) else (item.photo,)
    return [(photo.image_id, item.reference.identity) for photo in photos]


def subject_text(subjects: Iterable[Subject]) -> str:
    """Subjects as one text, the same whatever their order."""
    return "\n".join("\t".join(subject) for subject in sorted(subjects))
