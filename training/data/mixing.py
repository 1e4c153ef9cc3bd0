"""Pseudo-random numbers that are a pure function of integers, the same on every machine.

NumPy keeps the right to change its generators' streams between releases; an order of samples that
a run resumes in must not change. SplitMix64 (Steele et al., "Fast splittable pseudorandom number
generators", OOPSLA 2014) is short and fixed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1


def mixed(key: int, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash ``values`` (any shape, uint64) under ``key``; a bijection of 64 bits for each key."""
    state = (values + np.uint64(key & _MASK)) * _GOLDEN
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return state ^ (state >> np.uint64(31))


def key_of(*parts: int) -> int:
    """One 64-bit key from several integers ≥ 0; their order matters."""
    key = np.zeros(1, dtype=np.uint64)
    for part in parts:
        key = mixed(part, key ^ _FIRST)
    return int(key[0])


def permutation(length: int, key: int) -> NDArray[np.int64]:
    """A permutation of ``range(length)``, int64."""
    hashed = mixed(key, np.arange(length, dtype=np.uint64))
    return np.argsort(hashed, kind="stable").astype(np.int64)


def uniforms(count: int, key: int) -> NDArray[np.float64]:
    """``count`` numbers evenly spread over [0, 1), float64."""
    hashed = mixed(key, np.arange(count, dtype=np.uint64))
    return (hashed >> np.uint64(11)).astype(np.float64) * 2.0**-53
