"""Embeddings with known people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Faces = tuple[NDArray[np.float32], NDArray[np.int64]]


def _people(count: int, per_person: int, dimension: int = 64, seed: int = 0) -> Faces:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((count, dimension))
    noise = rng.standard_normal((count * per_person, dimension))
    identity = np.repeat(np.arange(count), per_person)
    rows = centres[identity] * 0.5**0.5 + noise * 0.5**0.5
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    shuffled = rng.permutation(len(rows))
    return rows[shuffled].astype(np.float32), identity[shuffled]


@pytest.fixture(scope="session")
def people() -> Callable[..., Faces]:
    """``people(count, per_person, dimension=64, seed=0)``: unit rows and identities, shuffled."""
    return _people
