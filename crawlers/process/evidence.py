"""From an answer of the network to what the ledger keeps of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from crawlers.causes import Cause
from crawlers.content import sniff_image
from crawlers.ledger.rows import Outcome
from crawlers.network.answer import Answer
from crawlers.pixels import MAX_PIXELS, count_pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The outcome of asking for an image; ``body`` is what must be stored, null when nothing."""

    outcome: Outcome
    body: bytes | None = None


def judge_image(answer: Answer) -> Judged:
    """Say what came of asking for an image: its bytes, or why they are not wanted."""
    if answer.cause is not None or answer.is_unchanged:
        return Judged(outcome=outcome_of(answer))
    cause = _image_problem(answer.body)
    if cause is not None:
        return Judged(outcome=outcome_of(answer, cause=cause))
    sha256 = hashlib.sha256(answer.body).hexdigest()
    return Judged(outcome=outcome_of(answer, sha256=sha256), body=answer.body)


def outcome_of(answer: Answer, *, cause: Cause | None = None, sha256: str | None = None) -> Outcome:
    """Return the evidence that an answer is.

    ``cause`` is what is wrong with a body that came, ``sha256`` is of a body that is to be stored.
    """
    headers = answer.headers
    return Outcome(
        url=answer.url,
        fetched_at=answer.fetched_at,
        cause=cause or answer.cause,
        detail=answer.detail,
        final_url=answer.final_url,
        http_status=answer.status,
        content_type=answer.content_type,
        etag=headers.get("etag"),
        last_modified=headers.get("last-modified"),
        robots=answer.robots,
        is_unchanged=answer.is_unchanged,
        sha256=sha256,
        size_bytes=None if sha256 is None else len(answer.body),
    )


def _image_problem(body: bytes) -> Cause | None:
    if not body:
        return Cause.EMPTY
    media_type = sniff_image(body)
    if media_type is None:
        return Cause.NOT_AN_IMAGE
    return Cause.TOO_MANY_PIXELS if (count_pixels(body, media_type) or 0) > MAX_PIXELS else None
