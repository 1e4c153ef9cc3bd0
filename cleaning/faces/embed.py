"""Aligned crops to unit embeddings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cleaning.faces.align import CROP_SIZE
from cleaning.faces.pack import RecogniserModel
from facedata.errors import ModelError

_GPU_BATCH = 64
_PROBE_CROPS = 4
_BATCH_TOLERANCE = 1e-3
"""Smallest 1 − cosine between a crop alone and in a batch that counts as a different answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """``vectors`` float32 (n, d) of unit length; ``norms`` float32 (n,) before normalising.

    A low norm tells of a crop with little identity in it (MagFace, Meng et al., CVPR 2021).
    """

    vectors: NDArray[np.float32]
    norms: NDArray[np.float32]


def embed_crops(
    crops: NDArray[np.uint8],
    recogniser: RecogniserModel,
    *,
    threads: int = 1,
    batch_size: int | None = None,
) -> Embeddings:
    """Embed aligned RGB crops, uint8 (n, 112, 112, 3).

    ``batch_size`` None takes 1 on the CPU, where batches are no faster, and 64 on a GPU. A
    recogniser whose answer depends on the batch (an int8 export may scale by the whole batch) is
    run one crop at a time whatever ``batch_size`` says, so that a crop's embedding never depends
    on its neighbours.

    Raises:
        ModelError: the recogniser takes crops of another size, or gives a zero or non-finite
            embedding.
    """
    if recogniser.size != CROP_SIZE:
        raise ModelError(
            f"model {recogniser.network.path}: its input is {recogniser.size} pixels wide, "
            f"crops are {CROP_SIZE}; use a {CROP_SIZE}-pixel recogniser"
        )
    size = batch_size or (_GPU_BATCH if recogniser.network.on_gpu else 1)
    if size > 1 and not check_batch_invariance(recogniser, size):
        size = 1
    batches = [_fill(crops[start : start + size], size) for start in range(0, len(crops), size)]
    raw = np.empty((len(batches) * size, recogniser.dim), dtype=np.float32)
    with ThreadPoolExecutor(threads) as pool:
        results = pool.map(lambda batch: _forward(batch, recogniser), batches)
        for index, result in enumerate(results):
            raw[index * size : (index + 1) * size] = result
    raw = raw[: len(crops)]
    return _normalise(raw, recogniser)


def check_batch_invariance(recogniser: RecogniserModel, batch_size: int) -> bool:
    """Whether crops get the same embeddings alone as in a batch of very unlike crops."""
    rng = np.random.default_rng(0)
    shape = (_PROBE_CROPS, CROP_SIZE, CROP_SIZE, 3)
    # Contrast from faint to full: a scale taken over the batch would differ most between these.
    contrast = np.linspace(0.05, 1.0, _PROBE_CROPS)[:, np.newaxis, np.newaxis, np.newaxis]
    crops = (127.5 + contrast * rng.uniform(-127.5, 127.5, shape)).astype(np.uint8)
    try:
        together = _forward(_fill(crops, max(batch_size, len(crops))), recogniser)
    except ModelError:
        return False
    for crop, own in zip(crops, together, strict=False):
        alone = _forward(crop[np.newaxis], recogniser)[0]
        cosine = float(alone @ own) / float(np.linalg.norm(alone) * np.linalg.norm(own))
        if not 1.0 - cosine < _BATCH_TOLERANCE:
            return False
    return True


def _fill(crops: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Repeat the last crop up to ``size``: a GPU may take another algorithm for another size."""
    missing = size - len(crops)
    return np.concatenate([crops, np.repeat(crops[-1:], missing, axis=0)]) if missing else crops


def _forward(crops: NDArray[np.uint8], recogniser: RecogniserModel) -> NDArray[np.float32]:
    blob = np.empty((len(crops), 3, CROP_SIZE, CROP_SIZE), dtype=np.float32)
    np.subtract(crops.transpose(0, 3, 1, 2), np.float32(recogniser.mean), out=blob)
    blob /= np.float32(recogniser.std)
    return recogniser.network.run(blob)[0]


def _normalise(raw: NDArray[np.float32], recogniser: RecogniserModel) -> Embeddings:
    norms = np.linalg.norm(raw, axis=1)
    bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0.0)))
    if bad.size:
        raise ModelError(
            f"model {recogniser.network.path}: {bad.size} of {len(raw)} crops get an embedding "
            f"that is zero or not finite, first row {bad[0]}; use another recogniser"
        )
    return Embeddings(vectors=raw / norms[:, np.newaxis], norms=norms.astype(np.float32))
