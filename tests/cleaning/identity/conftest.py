"""Synthetic people: embeddings with known identities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cleaning.identity.faceset import FaceSet


class People:
    """Draws unit embeddings of people who are as far apart as real faces are.

    A face is its person's direction plus noise; ``spread`` 0.9 gives same-person similarities
    of about 0.55 in 128 dimensions, and different-person similarities of about 0 ± 0.09.
    """

    def __init__(self, count: int, *, seed: int, dimensions: int = 128, spread: float = 0.9):
        self._rng = np.random.default_rng(seed)
        self._spread = spread
        self.dimensions = dimensions
        self.centres = self._unit(self._rng.normal(size=(count, dimensions)))

    def faces(self, person: int, count: int, *, spread: float | None = None) -> np.ndarray:
        """``count`` faces of one person, float32 (count, d)."""
        noise = self._rng.normal(size=(count, self.dimensions)) / np.sqrt(self.dimensions)
        scale = self._spread if spread is None else spread
        return self._unit(self.centres[person] + scale * noise)

    def strangers(self, count: int) -> np.ndarray:
        """``count`` faces of people who appear once."""
        return self._unit(self._rng.normal(size=(count, self.dimensions)))

    @staticmethod
    def _unit(vectors: np.ndarray) -> np.ndarray:
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit.astype(np.float32)


def one_face_per_photo(parts: list[tuple[int, np.ndarray]]) -> FaceSet:
    """A face set from (claimed identity, embeddings) parts, every face in a photo of its own."""
    embeddings = np.concatenate([vectors for _, vectors in parts])
    identity = np.concatenate([np.full(len(v), claimed, np.int64) for claimed, v in parts])
    return FaceSet(
        embeddings=embeddings,
        photo=np.arange(len(embeddings), dtype=np.int64),
        identity=identity,
        prominence=np.full(len(embeddings), 0.5, np.float32),
    )


@pytest.fixture
def people() -> Callable[..., People]:
    return People


@pytest.fixture
def face_set() -> Callable[[list[tuple[int, np.ndarray]]], FaceSet]:
    return one_face_per_photo
