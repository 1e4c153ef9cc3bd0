"""What is kept of an answer, and which images are wanted."""

from __future__ import annotations

import hashlib
import struct
import zlib

import pytest

from crawlers.causes import Cause
from crawlers.network.answer import Answer
from crawlers.process.evidence import judge_image

NOW = "2026-01-02T03:04:05+00:00"


def answer(body: bytes = b"", **keys) -> Answer:
    return Answer(url="https://example.org/a", fetched_at=NOW, body=body, **keys)


def test_an_image_is_stored_with_its_evidence(image_bytes) -> None:
    body = image_bytes(1)
    headers = {"content-type": "text/plain", "etag": '"x"', "last-modified": "yesterday"}
    judged = judge_image(answer(body, status=200, headers=headers, robots="allowed"))
    outcome = judged.outcome
    assert judged.body == body
    assert (outcome.sha256, outcome.size_bytes) == (hashlib.sha256(body).hexdigest(), len(body))
    assert (outcome.content_type, outcome.etag) == ("text/plain", '"x"')
    assert (outcome.last_modified, outcome.robots, outcome.cause) == ("yesterday", "allowed", None)


def bomb() -> bytes:
    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", size), (b"IDAT", zlib.compress(b"")))
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", Cause.EMPTY),
        (b"<html>sign in</html>", Cause.NOT_AN_IMAGE),
        (bomb(), Cause.TOO_MANY_PIXELS),
    ],
)
def test_what_is_no_image_to_be_kept_has_its_cause(body: bytes, cause: Cause) -> None:
    judged = judge_image(answer(body, status=200))
    assert (judged.outcome.cause, judged.outcome.sha256, judged.body) == (cause, None, None)


def test_a_failure_and_an_unchanged_image_keep_what_the_network_said() -> None:
    failed = judge_image(answer(cause=Cause.TIMEOUT, detail="slow"))
    assert (failed.outcome.cause, failed.outcome.detail, failed.body) == ("timeout", "slow", None)
    unchanged = judge_image(answer(status=304, is_unchanged=True))
    assert (unchanged.outcome.is_unchanged, unchanged.outcome.cause) == (True, None)
