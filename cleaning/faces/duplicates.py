"""Copies of a photo: exact ones by digest, re-encoded or resized ones by perceptual hash.

The hash is the 64-bit DCT hash ("pHash", Zauner 2010). Two photos of a burst can differ by as
little as two encodings of one photo, so a close hash alone is only a proposal: see
:func:`confirm_pairs`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Pairs = NDArray[np.int64]

_THUMBNAIL = 32
_LOW = 8
_BANDS = 4
_BAND_BITS = 16
_PAIRS_AT_ONCE = 1 << 22


def perceptual_hash(photo: NDArray[np.uint8]) -> int:
    """The 64-bit DCT hash of an RGB photo, uint8 (height, width, 3).

    Signs of the 8×8 lowest DCT coefficients of a 32×32 grey thumbnail against their median; the
    first bit, the mean brightness, is always 0 and so carries nothing.
    """
    small = cv2.resize(photo, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low = cv2.dct(grey)[:_LOW, :_LOW].reshape(-1)
    bits = low > np.median(low[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hash_to_hex(value: int) -> str:
    """A 64-bit hash as 16 hex digits."""
    return f"{value:016x}"


def hashes_from_hex(texts: list[str]) -> NDArray[np.uint64]:
    """Hashes as 16 hex digits each, to uint64 (n,)."""
    return np.array([int(text, 16) for text in texts], dtype=np.uint64)


def find_close_pairs(hashes: NDArray[np.uint64], max_distance: int) -> Pairs:
    """All pairs of hashes within a Hamming distance: int64 (m, 2), i < j, sorted.

    Exact, without comparing all with all: of four bands of 16 bits, one must differ in at most a
    quarter of ``max_distance`` bits (multi-index hashing: Norouzi et al., CVPR 2012).

    Raises:
        ValueError: ``max_distance`` is not in [0, 11], beyond which the search would not pay.
    """
    if not 0 <= max_distance < 3 * _BANDS:
        raise ValueError(f"max_distance is {max_distance}, expected 0 to {3 * _BANDS - 1}")
    found = [np.empty((0, 2), dtype=np.int64)]
    for band in range(_BANDS):
        keys = (hashes >> np.uint64(band * _BAND_BITS)).astype(np.uint16)
        order = np.argsort(keys, kind="stable")
        for flips in _flip_masks(max_distance // _BANDS):
            found += _join_band(hashes, order, keys[order], flips, max_distance)
    return np.unique(np.concatenate(found), axis=0)


def group_pairs(pairs: Pairs, count: int) -> NDArray[np.int64]:
    """A label per photo, int64 (count,): photos joined by pairs, also through others, share one.

    A group's label is the lowest index in it.
    """
    ones = np.ones(len(pairs), dtype=np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, first, labels = np.unique(component, return_index=True, return_inverse=True)
    return first[labels].astype(np.int64)


def _flip_masks(radius: int) -> NDArray[np.uint16]:
    """All 16-bit masks with at most ``radius`` (0 to 2) set bits."""
    single = np.left_shift(np.uint16(1), np.arange(_BAND_BITS, dtype=np.uint16))
    masks = [np.zeros(1, dtype=np.uint16)]
    if radius >= 1:
        masks.append(single)
    if radius >= 2:
        masks.append(np.unique(np.bitwise_or.outer(single, single)))
    return np.unique(np.concatenate(masks))


def _join_band(
    hashes: NDArray[np.uint64],
    order: NDArray[np.int64],
    keys: NDArray[np.uint16],
    flips: np.uint16,
    max_distance: int,
) -> list[Pairs]:
    """Pairs whose band keys differ exactly by ``flips``; ``keys`` are sorted by ``order``."""
    wanted = keys ^ flips
    start = np.searchsorted(keys, wanted, side="left")
    length = np.searchsorted(keys, wanted, side="right") - start
    ends = np.cumsum(length)
    found = []
    row = 0
    while row < len(keys):
        # As many rows as fit the memory limit, at least one.
        before = ends[row] - length[row]
        stop = max(row + 1, int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, side="right")))
        left = np.repeat(np.arange(row, stop), length[row:stop])
        # Candidate c of a row is the c-th position of its run of equal keys.
        position = np.arange(before, ends[stop - 1]) - (ends - length)[left] + start[left]
        first, second = order[left], order[position]
        close = np.bitwise_count(hashes[first] ^ hashes[second]) <= max_distance
        chosen = close & (first < second)
        found.append(np.stack([first[chosen], second[chosen]], axis=1))
        row = stop
    return found
