"""The audit: a random sample of the photos to be released, and the noise that it shows."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseEstimate:
    """The share of photos that do not show their identity, as an audit found it.

    ``noise`` is the estimate, ``None`` when no photo was judged; ``low`` and ``high`` bound the
    95 % confidence interval. ``unsure`` photos are in none of the three.
    """

    wrong: int
    right: int
    unsure: int
    noise: float | None
    low: float
    high: float


def sample_audit(photos: Sequence[tuple[str, str]], size: int, seed: int) -> list[int]:
    """Draw ``size`` photos at random, the same ones whenever they are there.

    Every photo gets a number from a keyed hash of what it is, and the smallest numbers win
    (bottom-k sampling, Cohen and Kaplan 2007). Each photo is equally likely. When photos come or
    go, only as many of the sample change as were pushed out or left, so answers stay in use.

    Args:
        photos: (image_id, identity) of each photo.
        size: most photos to draw.
        seed: another seed is another sample.

    Returns:
        Indices into ``photos``, in the order of the draw; a smaller sample is a beginning of a
        larger one.
    """
    # Hashed, so that any whole number fits the key.
    key = hashlib.sha256(str(seed).encode()).digest()
    numbered = ((_number(photo, key), index) for index, photo in enumerate(photos))
    return [index for _, index in heapq.nsmallest(size, numbered)]


def estimate_noise(wrong: int, right: int, unsure: int) -> NoiseEstimate:
    """Estimate the noise of a set from a uniform sample of it.

    The estimate is wrong / (wrong + right). The interval is exact: whatever the true noise, it
    covers it in at least 95 % of samples (Clopper and Pearson 1934, "The use of confidence or
    fiducial limits illustrated in the case of the binomial", Biometrika 26). Photos that people
    could not judge are counted and shown, and say nothing about the noise.
    """
    judged = wrong + right
    noise: float | None = None
    low, high = 0.0, 1.0
    if judged:
        # Loading scipy.stats takes most of a second, and few commands come here.
        from scipy.stats import binomtest

        interval = binomtest(wrong, judged).proportion_ci(CONFIDENCE, method="exact")
        noise, low, high = wrong / judged, float(interval.low), float(interval.high)
    return NoiseEstimate(wrong=wrong, right=right, unsure=unsure, noise=noise, low=low, high=high)


def _number(photo: tuple[str, str], key: bytes) -> bytes:
    image_id, identity = photo
    text = f"{image_id}\0{identity}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16, key=key).digest()
