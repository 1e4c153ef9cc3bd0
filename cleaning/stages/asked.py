"""What people have been asked so far: so that nothing is asked twice, and nothing is lost."""

from __future__ import annotations

from collections import Counter

from cleaning.stages.batch_index import BatchIndex, Subject, kind_of, subject_text
from cleaning.stages.review_folder import ReviewFolder
from facedata.review import Kind


class Asked:
    """The subjects of all batches ever planned."""

    def __init__(self, folder: ReviewFolder) -> None:
        self._open: dict[Kind, set[Subject]] = {kind: set() for kind in Kind}
        self._times: Counter[tuple[Kind, str]] = Counter()
        self._numbers: Counter[Kind] = Counter()
        for name in folder.batch_names():
            self.add(folder.index(name), is_open=not folder.is_closed(name))

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

    def add(self, batch: BatchIndex, is_open: bool = True) -> None:
        """Take in a batch that was planned since."""
        self._numbers[batch.kind] += 1
        for question in batch.questions:
            self._times[batch.kind, subject_text(question.subjects)] += 1
            if is_open:
                self._open[batch.kind].update(question.subjects)


class Questions:
    """Finds the batch of a question by its key: indexes are read until it is found."""

    def __init__(self, folder: ReviewFolder) -> None:
        self._folder = folder
        self._batch_of: dict[str, str] = {}
        self._unread: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        # Newest last: most answers are about those.
        for name in folder.batch_names():
            self._unread[kind_of(name)].append(name)

    def find(self, kind: Kind, key: str) -> str | None:
        """The name of the batch that asks the question of a key; None when nobody asked it."""
        unread = self._unread[kind]
        while key and key not in self._batch_of and unread:
            name = unread.pop()
            self._batch_of.update((known, name) for known in self._folder.index(name).keys)
        found = self._batch_of.get(key)
        return found if found is not None and kind_of(found) == kind else None
