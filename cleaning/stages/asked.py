"""What people have been asked so far: so that nothing is asked twice, and nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cleaning.review.items import Batch, GridItem, Item, PairItem
from cleaning.stages.review_folder import ReviewFolder
from facedata.review import Kind, ordered_pair

Subject = tuple[str, str]
"""What a question is about: two identities, or an image id and an identity."""


class Asked:
    """The subjects of all batches ever planned."""

    def __init__(self, folder: ReviewFolder) -> None:
        self._open: dict[Kind, set[Subject]] = {kind: set() for kind in Kind}
        self._times: Counter[tuple[Kind, str]] = Counter()
        self._numbers: Counter[Kind] = Counter()
        for name in folder.batch_names():
            self.add(folder.batch(name), is_open=not folder.is_closed(name))

    def waiting(self, *kinds: Kind) -> set[Subject]:
        """What questions of these kinds are about that wait for answers."""
        return {subject for kind in kinds for subject in self._open[kind]}

    def times(self, kind: Kind, subject: str) -> int:
        """How often something has been asked about; ``subject`` as of ``subject_text``."""
        return self._times[kind, subject]

    def batches(self, kind: Kind) -> int:
        """How many batches of a kind were planned."""
        return self._numbers[kind]

    def next_name(self, kind: Kind) -> str:
        """The name of the next batch of a kind."""
        return f"{kind.value}-{self._numbers[kind] + 1:04d}"

    def add(self, batch: Batch, is_open: bool = True) -> None:
        """Take in a batch that was planned since."""
        self._numbers[batch.kind] += 1
        for item in batch.items:
            self._times[batch.kind, subject_text(subjects_of(item))] += 1
            if is_open:
                self._open[batch.kind].update(subjects_of(item))


class Questions:
    """Finds questions by key: batches are read when a question of theirs is looked for."""

    def __init__(self, folder: ReviewFolder) -> None:
        self._folder = folder
        self._batches: dict[str, Batch] = {}
        self._items: dict[str, Item] = {}
        self._batch_of: dict[str, str] = {}
        self._unread: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        # Newest last: most answers are about those.
        for name in folder.batch_names():
            self._unread[Kind(name.rsplit("-", 1)[0])].append(name)

    def batch(self, name: str) -> Batch:
        """A batch by its name."""
        if name not in self._batches:
            batch = self._folder.batch(name)
            self._batches[name] = batch
            self._items.update((item.key, item) for item in batch.items)
        return self._batches[name]

    def find(self, kind: Kind, key: str) -> tuple[Batch, Item] | None:
        """The batch and the question of a key; None when nobody asked it."""
        unread = self._unread[kind]
        while key and key not in self._batch_of and unread:
            name = unread.pop()
            self._batch_of.update((known, name) for known in self._folder.keys(name))
        if key not in self._batch_of:
            return None
        batch = self.batch(self._batch_of[key])
        return batch, self._items[key]


def subjects_of(item: Item) -> list[Subject]:
    """What a question is about."""
    if isinstance(item, PairItem):
        return [ordered_pair(item.a.identity, item.b.identity)]
    photos = item.photos if isinstance(item, GridItem) else (item.photo,)
    return [(photo.image_id, item.reference.identity) for photo in photos]


def subject_text(subjects: Iterable[Subject]) -> str:
    """Subjects as one text, the same whatever their order."""
    return "\n".join("\t".join(subject) for subject in sorted(subjects))
