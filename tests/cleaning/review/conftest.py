from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from cleaning.review.file_backend import Gallery, GalleryFace
from cleaning.review.items import Batch, Item, PairItem, PersonAnswer, Side
from facedata.review import CandidateRow, Kind, PairEvidence

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
def evidence() -> Callable[..., PairEvidence]:
    """Makes what was measured about a pair: two names in any order, a similarity, photo counts."""

    def make(
        a: str, b: str, similarity: float = 0.5, photos: tuple[int, int] = (5, 5)
    ) -> PairEvidence:
        return PairEvidence(
            identity_a=min(a, b),
            identity_b=max(a, b),
            max_similarity=similarity,
            face_a=f"{1:032x}-0",
            face_b=f"{2:032x}-0",
            centroid_similarity=similarity,
            close_pairs=1,
            photos_a=photos[0],
            photos_b=photos[1],
        )

    return make


@pytest.fixture(scope="session")
def side() -> Callable[..., Side]:
    """Makes an identity as a reviewer sees it."""

    def make(identity: str) -> Side:
        return Side(identity=identity, photos=5, faces=(f"{identity}-face",))

    return make


@pytest.fixture(scope="session")
def pair_item(side: Callable[..., Side]) -> Callable[..., PairItem]:
    """Makes a question about two identities, shown in the order given; its key is their names."""

    def make(a: str, b: str, gold: str = "") -> PairItem:
        return PairItem(
            key=f"{a}-{b}",
            a=side(a),
            b=side(b),
            face_a=f"{a}-face",
            face_b=f"{b}-face",
            max_similarity=0.5,
            centroid_similarity=0.4,
            close_pairs=1,
            chance_same=0.5,
            gold=gold,
        )

    return make


@pytest.fixture(scope="session")
def batch() -> Callable[..., Batch]:
    """Makes a batch of questions; its name is the kind and 0001."""

    def make(*items: Item, kind: Kind = Kind.PAIRS, overlap: int = 2) -> Batch:
        return Batch(
            name=f"{kind.value}-0001", kind=kind, overlap=overlap, model="net-1234", items=items
        )

    return make


@pytest.fixture(scope="session")
def says() -> Callable[..., PersonAnswer]:
    """Makes a person's answer to the question with the key ``a-b``, and changes to the rest."""

    def make(annotator: str, answer: str, **changes: object) -> PersonAnswer:
        values: dict[str, object] = {
            "batch": "pairs-0001",
            "key": "a-b",
            "annotator": annotator,
            "answer": answer,
            "answered_at": "2026-01-01T00:00:00Z",
        }
        return PersonAnswer(**(values | changes))  # type: ignore[arg-type]

    return make


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
