from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleaning.export.samples import Sample
from cleaning.export.shards import ImageFormat, ShardConfig, write_shards
from facedata.ledger import Reason
from facedata.records import LedgerRow
from facedata.review import CandidateRow
from facedata.storage import Storage
from facedata.versions import Manifest, ShardEntry

MakeRow = Callable[..., LedgerRow]


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
def row() -> MakeRow:
    """Makes a ledger row from a number, a reason, the claimed and the final identity."""

    def make(number: int, reason: Reason, claimed: str, final: str | None = None, **changes):
        values = {
            "image_id": hashlib.sha256(str(number).encode()).hexdigest(),
            "source": "photos",
            "source_uri": f"{claimed}/{number}.jpg",
            "claimed_identity": claimed,
            "identity": final,
            "outcome": reason.outcome.value,
            "reason": reason.value,
            "face_id": f"{number:032x}-0",
            "det_score": 0.9,
            "similarity": 0.5,
        }
        return LedgerRow(**(values | changes))

    return make


@pytest.fixture(scope="session")
def candidate() -> Callable[..., CandidateRow]:
    """Makes a candidate from two names, a similarity, a decision and who decided."""

    def make(a: str, b: str, similarity: float, decision: str, by: str | None = None):
        return CandidateRow(
            identity_a=a,
            identity_b=b,
            max_similarity=similarity,
            face_a=f"{1:032x}-0",
            face_b=f"{2:032x}-0",
            decision=decision,
            decided_by=by,
            decided_at=None,
        )

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


@pytest.fixture(scope="session")
def released(face_crop, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a workspace with a version of some people; returns the workspace."""

    def write(people: dict[str, tuple[int, int]], image_format: str = "png") -> Path:
        """``people``: identity → class index and number of images, two images to a shard."""
        workspace = tmp_path_factory.mktemp("work")
        storage = Storage(workspace)
        numbers = [
            (identity, index) for identity, (index, count) in people.items() for _ in range(count)
        ]
        samples = [
            Sample(
                key=hashlib.sha256(str(number).encode()).hexdigest()[:32] + "-0",
                crop=face_crop(number),
                class_index=index,
                facts={"identity": identity},
            )
            for number, (identity, index) in enumerate(numbers)
        ]
        folder = "versions/set-v0001"
        shards = write_shards(
            sorted(samples, key=lambda sample: sample.key),
            ShardConfig(max_images=2, image_format=ImageFormat(image_format)),
            lambda name: storage.open_write(f"{folder}/{name}"),
        )
        manifest = Manifest(
            version="set-v0001",
            parent=None,
            digest="0" * 64,
            recipe={},
            recipe_digest="0" * 64,
            code_version="0",
            models={},
            counts={},
            shards=tuple(
                ShardEntry(path=s.name, images=s.images, size_bytes=s.size_bytes, sha256=s.sha256)
                for s in shards
            ),
            files={},
            identities={identity: index for identity, (index, _) in people.items()},
            retired={},
        )
        storage.write(f"{folder}/manifest.json", manifest.to_json())
        return workspace

    return write
