"""Ledger rows, decisions and measured faces, as the stages meet them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from cleaning.stages.measured import Measured
from facedata.ledger import Reason
from facedata.records import LedgerRow
from facedata.review import Decision, Kind, PhotoDecision


@pytest.fixture(scope="session")
def row() -> Callable[..., LedgerRow]:
    """Makes the row of an image, claimed by an identity, with its first face."""

    def make(
        image: str, claimed: str, reason: Reason = Reason.MAIN_CLUSTER, **changes: object
    ) -> LedgerRow:
        shipped = reason.outcome in {"kept", "moved"}
        made = LedgerRow(
            image_id=image,
            source="folder",
            source_uri=f"{claimed}/{image}.jpg",
            claimed_identity=claimed,
            identity=claimed if shipped else None,
            outcome=reason.outcome.value,
            reason=reason.value,
            face_id=f"{image}-0",
            det_score=0.875,
            similarity=0.5,
        )
        return replace(made, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def said() -> Callable[..., PhotoDecision]:
    """Makes a decision about an image and an identity."""

    def make(
        image: str, identity: str, word: str, kind: Kind = Kind.PHOTOS, **changes: object
    ) -> PhotoDecision:
        made = PhotoDecision(
            image_id=image,
            identity=identity,
            face_id=f"{image}-0",
            decision=word,
            kind=kind.value,
            decided_by="kim@example.org",
            decided_at="2026-03-01T10:00:00+00:00",
            similarity=0.25,
        )
        return replace(made, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def answered() -> Callable[..., Decision]:
    """Makes a decision about two identities."""

    def make(a: str, b: str, word: str, by: str = "kim@example.org", kind: str = "") -> Decision:
        return Decision(
            identity_a=a,
            identity_b=b,
            decision=word,
            decided_by=by,
            decided_at="2026-03-01T10:00:00+00:00",
            kind=kind,
        )

    return make


@pytest.fixture(scope="session")
def measured() -> Callable[[Mapping[str, list[float]]], Measured]:
    """Makes the measurements of faces: face id → direction of its embedding."""

    def make(directions: Mapping[str, list[float]]) -> Measured:
        vectors = np.array(list(directions.values()), np.float64).reshape(len(directions), 3)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        ids = list(directions)
        return Measured(
            photos={},
            faces=pa.table(
                {
                    "face_id": ids,
                    "image_id": [face.rsplit("-", 1)[0] for face in ids],
                    "det_score": pa.array([0.75] * len(ids), pa.float32()),
                }
            ),
            embeddings=vectors.astype(np.float16),
        )

    return make
