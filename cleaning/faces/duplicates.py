"""Copies of a photo that do not have its bytes: re-encoded, resized or slightly trimmed ones.

The 64-bit DCT hash ("pHash", Zauner 2010) proposes pairs. Photos of a burst, or of two people
before one background, can have hashes as close as two encodings of one photo, so a pair counts
only when its aligned faces are the same picture after a small registration (ECC: Evangelidis and
Psarakis, PAMI 2008).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from cleaning.faces.shrink import halve

Pairs = NDArray[np.int64]

PROPOSE_WITHIN = 6
"""Hamming distance of hashes up to which a pair is proposed."""
SAME_PICTURE = 0.99
"""Least registered correlation of two crops of one picture: copies measure above 0.992 in 99 of
100 cases down to half the size or JPEG quality 30, photos of one burst up to 0.985."""

_THUMBNAIL = 32
_HALVE_ABOVE = 256
_LOW = 8
_BANDS = 4
_BAND_BITS = 16
_PAIRS_AT_ONCE = 1 << 22
_BLUR_SIGMA = 1.5
_ECC_STOP = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
_ECC_SMOOTHING = 5
_INNER = 12
"""Border of a crop, in pixels, left out of the comparison: it may lie outside the photo."""
_MAX_SHIFT = 12.0
_MAX_STRETCH = 0.2


def perceptual_hash(photo: NDArray[np.uint8]) -> int:
    """The 64-bit DCT hash of an RGB photo, uint8 (height, width, 3).

    Signs of the 8×8 lowest DCT coefficients of a 32×32 grey thumbnail against their median; the
    first bit, the mean brightness, is always 0 and so carries nothing.
    """
    while min(photo.shape[:2]) >= _HALVE_ABOVE:
        photo = halve(photo)
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:_LOW, :_LOW].reshape(-1)
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


def confirm_pairs(pairs: Pairs, crop_of: Callable[[int], NDArray[np.uint8]]) -> Pairs:
    """The pairs whose faces are the same picture (see :func:`picture_similarity`).

    ``crop_of`` gives the aligned crop of a photo's most prominent face; a photo without a face
    must not be in ``pairs``.
    """
    same = [
        picture_similarity(crop_of(int(first)), crop_of(int(second))) >= SAME_PICTURE
        for first, second in pairs
    ]
    return np.asarray(pairs[np.array(same, dtype=bool)], dtype=np.int64)


def picture_similarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Correlation in [-1, 1] of two aligned crops after an affine registration.

    The registration takes up what the landmarks of two copies differ by. 0 when none is found or
    it is larger than that.
    """
    left, right = _smooth_grey(first), _smooth_grey(second)
    inner = np.zeros(left.shape, dtype=np.uint8)
    inner[_INNER:-_INNER, _INNER:-_INNER] = 255
    start = np.eye(2, 3, dtype=np.float32)
    try:
        correlation, warp = cv2.findTransformECC(
            left, right, start, cv2.MOTION_AFFINE, _ECC_STOP, inner, _ECC_SMOOTHING
        )
    except cv2.error:
        # ECC's way to say that it does not converge, or that a crop is one flat colour.
        return 0.0
    centre = np.array([left.shape[1] / 2, left.shape[0] / 2])
    shift = warp[:, :2] @ centre + warp[:, 2] - centre
    stretch = np.abs(warp[:, :2] - np.eye(2)).max()
    if np.abs(shift).max() > _MAX_SHIFT or stretch > _MAX_STRETCH:
        return 0.0
    return float(correlation)


def _smooth_grey(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), _BLUR_SIGMA), dtype=np.float32)


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
