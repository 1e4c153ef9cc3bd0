"""Ending batches before everybody has answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cleaning.review.progress import answered_keys
from cleaning.stages.exchange import Exchange
from facedata.review import Kind

_AT_ONCE = 250


def take_back(
    exchange: Exchange, names: Sequence[str], fetch: Callable[[], object]
) -> Iterator[tuple[str, int]]:
    """Remove the questions of batches that too few people answered; yields each batch's name, once
    it is done, with how many there were.

    People go on answering meanwhile, and what is removed is gone with its answers: so ``fetch``,
    a pull, is called right before each removal of a few questions.

    Raises:
        ReviewError: the server failed.
    """
    ids: dict[Kind, dict[str, int]] = {}
    for name in names:
        removed = 0
        index = exchange.folder.index(name)
        project = exchange.project(index.kind)
        if index.kind not in ids:
            ids[index.kind] = exchange.server.task_ids(project)
        there = [key for key in index.keys if key in ids[index.kind]]
        for start in range(0, len(there), _AT_ONCE):
            fetch()
            keys = there[start : start + _AT_ONCE]
            done = answered_keys(keys, index.overlap, exchange.folder.answers_to([name]))
            waiting = [ids[index.kind][key] for key in keys if key not in done]
            exchange.server.remove_tasks(project, waiting)
            removed += len(waiting)
        yield name, removed
