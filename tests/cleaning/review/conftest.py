from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from cleaning.review.file_backend import Gallery, GalleryFace
from facedata.review import CandidateRow

MakeCandidate = Callable[..., CandidateRow]


def _candidate(a: str, b: str, similarity: float = 0.5, **changes: object) -> CandidateRow:
    values: dict[str, object] = {
        "identity_a": min(a, b),
        "identity_b": max(a, b),
        "max_similarity": similarity,
        "face_a": f"{1:032x}-0",
        "face_b": f"{2:032x}-0",
        "decision": "pending",
        "decided_by": None,
        "decided_at": None,
    }
    return CandidateRow(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def candidate() -> MakeCandidate:
    """Makes a candidate: two names in any order, a similarity, and changes to the rest."""
    return _candidate


@pytest.fixture(scope="session")
def face_crop() -> Callable[[int], bytes]:
    """Draws a face-like PNG of 112 × 112, a pure function of a number."""

    def draw(number: int) -> bytes:
        rng = np.random.default_rng(number)
        skin, hair, ground = (tuple(map(int, rng.integers(60, 230, 3))) for _ in range(3))
        image = np.full((112, 112, 3), ground, dtype=np.uint8)
        cv2.ellipse(image, (56, 50), (42, 48), 0, 0, 360, hair, -1)
        cv2.ellipse(image, (56, 62), (34, 44), 0, 0, 360, skin, -1)
        for x in (38, 74):
            cv2.circle(image, (x, 52), 5, (40, 30, 30), -1)
        cv2.ellipse(image, (56, 90), (14, 5), 0, 0, 180, (60, 60, 160), 2)
        return bytes(cv2.imencode(".png", image)[1])

    return draw


@pytest.fixture(scope="session")
def gallery() -> Callable[..., Gallery]:
    """Makes a gallery of an identity from face ids."""

    def make(identity: str, *face_ids: str, count: int | None = None) -> Gallery:
        faces = tuple(GalleryFace(face_id=face_id, caption="typical") for face_id in face_ids)
        total = len(faces) if count is None else count
        return Gallery(identity=identity, face_count=total, faces=faces)

    return make


@pytest.fixture
def browser() -> Iterator[object]:
    """A headless Chromium; tests that want one are skipped where there is none.

    One per test: while it is open, its event loop keeps other tests from starting theirs.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on the PATH: the page was not tried in a browser")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield launched
        launched.close()
