"""Ending a batch before everybody has answered."""

from __future__ import annotations

from cleaning.review.items import Batch
from cleaning.review.progress import answered_keys
from cleaning.stages.exchange import Exchange


def take_back(exchange: Exchange, batch: Batch) -> int:
    """Remove a batch's questions that too few people answered; returns how many there were.

    Raises:
        ReviewError: the server failed.
    """
    project = exchange.project(batch.kind)
    done = answered_keys(batch, exchange.folder.answers_to([batch.name]))
    ids = exchange.server.task_ids(project)
    waiting = [ids[item.key] for item in batch.items if item.key in ids and item.key not in done]
    exchange.server.remove_tasks(project, waiting)
    return len(waiting)
