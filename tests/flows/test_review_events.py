"""The end of a batch is told once, late rather than never."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from cleaning.review.items import Batch, PairItem, Side
from cleaning.stages.review_folder import ReviewFolder
from facedata.review import Decision, Kind
from facedata.storage import Storage
from flows.events import REVIEW_COMPLETED
from flows.review_events import tell_completed, tell_missed

BATCH = "pairs-0001"


def side(name: str) -> Side:
    return Side(identity=name, photos=3, faces=(f"{name}-0",))


def pair(a: str, b: str, gold: str = "") -> PairItem:
    return PairItem(
        key=f"{a}-{b}",
        a=side(a),
        b=side(b),
        face_a=f"{a}-0",
        face_b=f"{b}-0",
        max_similarity=0.5,
        centroid_similarity=0.4,
        close_pairs=2,
        chance_same=0.5,
        gold=gold,
    )


def decision(a: str, b: str, word: str) -> Decision:
    return Decision(
        identity_a=a,
        identity_b=b,
        decision=word,
        decided_by="kim",
        decided_at="2026-01-02T03:04:05+00:00",
    )


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> ReviewFolder:
    """A batch of three questions and a control: one same, one taken back, one never decided."""
    made = ReviewFolder(storage=Storage(tmp_path), dataset=request.node.name.replace("_", "-"))
    items = (pair("Ada", "Bo"), pair("Ada", "Cy"), pair("Bo", "Cy"), pair("Ada", "Di", "same"))
    made.plan(Batch(name=BATCH, kind=Kind.PAIRS, overlap=1, model="m", items=items))
    rows = [("Ada", "Bo", "same"), ("Ada", "Cy", "same"), ("Ada", "Cy", "pending")]
    made.append_decisions([decision(*row) for row in [*rows, ("Ada", "Di", "same")]])
    return made


def told(server: Any, folder: ReviewFolder) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.events(REVIEW_COMPLETED, f"facedata.{folder.dataset}")
    return found


def test_it_is_told_once(
    folder: ReviewFolder, prefect_server: Any, wait_for: Callable[..., None]
) -> None:
    with temporary_settings({PREFECT_API_URL: prefect_server.api}):
        assert tell_completed(folder, BATCH) is True
        assert tell_completed(folder, BATCH) is False
        folder.mark_closed(BATCH)
        assert tell_missed(folder) == []

    wait_for(lambda: told(prefect_server, folder), "the event", 60)
    (event,) = told(prefect_server, folder)
    assert event["payload"] == {"batch": BATCH, "decisions": 1}


def test_what_no_server_heard_is_told_later(
    folder: ReviewFolder, prefect_server: Any, wait_for: Callable[..., None]
) -> None:
    assert tell_completed(folder, BATCH) is False
    assert tell_missed(folder) == []
    folder.mark_closed(BATCH)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert tell_missed(folder) == []

    with temporary_settings({PREFECT_API_URL: prefect_server.api}):
        assert tell_missed(folder) == [BATCH]
        assert tell_missed(folder) == []
    wait_for(lambda: told(prefect_server, folder), "the event", 60)


def test_a_batch_that_is_open_is_not_told(folder: ReviewFolder, prefect_server: Any) -> None:
    with temporary_settings({PREFECT_API_URL: prefect_server.api}):
        assert tell_missed(folder) == []
