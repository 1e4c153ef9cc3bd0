"""N:N verification in the manner of Trillion Pairs: TAR@FAR over all pairs, counted exactly.

The threshold at a FAR is one impostor similarity among up to 10¹²: the one that is exceeded by as
many as the FAR allows. A sample of pairs tells a narrow window that it probably lies in; one pass
over all pairs counts what lies above the window and computes the similarities inside without
rounding. If it was not in there, or there were too many to keep, that window is moved or cut, with
one more pass. No score is ever binned in the answer, and memory stays flat.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import comb
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facedata.errors import RequestError
from training.evaluate.comparison import (
    Columns,
    Comparison,
    compare_with_gallery,
    compare_within,
)
from training.evaluate.exact import Embeddings, Float32, Int64, pair_similarity, product_error
from training.evaluate.operating_point import (
    OperatingPoint,
    allowed_accepts,
    check_rates,
    threshold_above,
)
from training.evaluate.sample import Sample, count_blocks, random_block
from training.evaluate.scan import CPU, Backend, Reach, Stripe
from training.evaluate.window import KEEP, Window

FARS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)

_WHAT = "N:N evaluation"
_NO_FACE = -1.0
"""The similarity of pairs with a photo that shows no face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllPairs:
    """``points`` by FAR, None where there are fewer than 1 / FAR impostor pairs.

    ``passes`` is how often all impostor pairs were gone through; ``missing`` of all pairs have a
    photo without a face.
    """

    genuine: int
    impostors: int
    passes: int
    points: dict[float, OperatingPoint | None]
    missing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How to compute. ``backend`` None takes the GPU where torch sees one.

    ``threads`` run products side by side: set OMP_NUM_THREADS=1 with more than one. ``progress``
    is called after each stripe of probes with the number of this pass and the share of pairs done.
    ``keep`` is how many similarities may be held for each FAR; more are cut by further passes.
    """

    threads: int = 1
    keep: int = KEEP
    backend: Backend | None = None
    progress: Callable[[int, float], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scan:
    comparison: Comparison
    backend: Backend
    work: Work

    @property
    def error(self) -> float:
        return product_error(self.comparison.probes.embeddings.shape[1])

    def every_block(self, number: int, look: Callable[[Stripe, Float32, Columns], None]) -> None:
        """``look`` at each block of pairs, from several threads; ``number`` counts the passes."""
        total = len(self.comparison.probes)
        # Few faces are still spread over all threads.
        parts = 4 * self.work.threads if self.work.threads > 1 else 1
        height = min(self.backend.stripe, -(-total // parts))
        starts = range(0, total, height)

        def one(start: int) -> None:
            stop = min(start + height, total)
            rows = self.comparison.probes.rows(start, stop)
            stripe = self.backend.prepare(rows)
            for columns in self.comparison.columns(start, stop, self.backend.width):
                look(stripe, rows, columns)

        sizes = [self.comparison.products(start, min(start + height, total)) for start in starts]
        shares = np.cumsum(sizes) / sum(sizes)
        with ThreadPoolExecutor(self.work.threads) as pool:
            for share, _ in zip(shares, pool.map(one, starts), strict=True):
                if self.work.progress is not None:
                    self.work.progress(number, float(share))


def evaluate_within(
    embeddings: Embeddings,
    identity: NDArray[Any],
    *,
    fars: Sequence[float] = FARS,
    work: Work | None = None,
    without_face: Sequence[Any] = (),
) -> AllPairs:
    """TAR@FAR over all pairs i < j of (n, d) float16 or float32 unit rows, identities (n,).

    ``without_face`` are the identities of further photos: their pairs have similarity -1, so that
    they count and are never accepted.

    Raises ``RequestError`` for shapes or values that do not fit, or without genuine or impostor
    pairs.
    """
    comparison = compare_within(embeddings, identity, _WHAT)
    return _evaluate(comparison, fars, work or Work(), _missing(identity, without_face))


def evaluate_against_gallery(
    probes: tuple[Embeddings, NDArray[Any]],
    gallery: tuple[Embeddings, NDArray[Any]],
    *,
    fars: Sequence[float] = FARS,
    work: Work | None = None,
) -> AllPairs:
    """TAR@FAR over every probe with every gallery face, each as embeddings and identities.

    Gallery identities without a probe are distractors. Errors are those of
    :func:`evaluate_within`.
    """
    return _evaluate(compare_with_gallery(probes, gallery, _WHAT), fars, work or Work())


def choose_backend() -> Backend:
    """The GPU where torch is there and sees one, else the processor."""
    if importlib.util.find_spec("torch") is None:
        return CPU
    import torch

    if not torch.cuda.is_available():
        return CPU
    from training.evaluate.scan_cuda import CUDA

    return CUDA


@dataclass(frozen=True, slots=True, kw_only=True)
class _Missing:
    """Pairs that have no similarity."""

    genuine: int = 0
    impostors: int = 0


def _missing(identity: NDArray[Any], without_face: Sequence[Any]) -> _Missing:
    shown, unseen = Counter(identity.tolist()), Counter(without_face)
    genuine = sum(comb(count, 2) + count * shown.get(who, 0) for who, count in unseen.items())
    pairs = comb(len(without_face), 2) + len(without_face) * len(identity)
    return _Missing(genuine=genuine, impostors=pairs - genuine)


def _evaluate(
    comparison: Comparison, fars: Sequence[float], work: Work, missing: _Missing | None = None
) -> AllPairs:
    check_rates(fars)
    lost = missing or _Missing()
    genuine = comparison.genuine + lost.genuine
    impostors = comparison.impostors + lost.impostors
    if not genuine or not impostors:
        raise RequestError(
            f"{_WHAT}: {genuine} genuine and {impostors} impostor pairs; both are needed"
        )
    allowed = {far: allowed_accepts(far, impostors) for far in fars}
    ranks = sorted({count + 1 for count in allowed.values() if count is not None})
    scan = _Scan(comparison=comparison, backend=work.backend or choose_backend(), work=work)
    limits, passes = _resolve(scan, ranks)
    accepted = _accepted(comparison, limits)
    points: dict[float, OperatingPoint | None] = dict.fromkeys(fars)
    for far, count in allowed.items():
        if count is not None:
            index = ranks.index(count + 1)
            points[far] = OperatingPoint(
                far=far,
                threshold=threshold_above(limits[index].similarity),
                true_accepts=accepted[index],
                genuine=genuine,
                false_accepts=limits[index].exceeding,
                impostors=impostors,
            )
    return AllPairs(
        genuine=genuine,
        impostors=impostors,
        passes=passes,
        points=points,
        missing=lost.genuine + lost.impostors,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """An impostor similarity and how many impostor pairs exceed it."""

    similarity: float
    exceeding: int


def _resolve(scan: _Scan, ranks: Sequence[int]) -> tuple[list[_Limit], int]:
    """The impostor similarity at each rank, from the highest, rank 1; and the passes it took.

    Ranks beyond the pairs that have a similarity are those of pairs without a face.
    """
    seen = scan.comparison.impostors
    reached = sorted({min(rank, seen) for rank in ranks if seen})
    windows, passes = _windows(scan, reached) if reached else [], 0
    while any(not window.resolved for window in windows):
        passes += 1
        _look_into([window for window in windows if not window.resolved], scan, passes)
    at = {
        window.rank: _Limit(similarity=window.similarity, exceeding=window.exceeding)
        for window in windows
    }
    lowest = at.get(seen)
    # A pair with a face may be as far apart as one without.
    if lowest is None or lowest.similarity > _NO_FACE:
        lowest = _Limit(similarity=_NO_FACE, exceeding=seen)
    return [at[rank] if rank <= seen else lowest for rank in ranks], passes


def _windows(scan: _Scan, ranks: Sequence[int]) -> list[Window]:
    """Where to look first; the answer does not depend on it, but how many passes it takes."""
    sample = _sample(scan)
    around = [sample.around(rank, scan.comparison.impostors) for rank in ranks]
    return [
        Window(rank=rank, low=low, high=high, keep=scan.work.keep)
        for rank, (low, high) in zip(ranks, around, strict=True)
    ]


def _sample(scan: _Scan) -> Sample:
    def one(seed: int) -> Int64:
        rows, columns = random_block(scan.comparison, seed)
        return scan.backend.prepare(rows).histogram(columns)

    sample = Sample()
    with ThreadPoolExecutor(scan.work.threads) as pool:
        for counts in pool.map(one, range(count_blocks(scan.comparison.impostors))):
            sample.add(counts)
    return sample


def _look_into(windows: Sequence[Window], scan: _Scan, number: int) -> None:
    """One pass over all pairs, after which every window is resolved or a better one."""
    error, lock = scan.error, Lock()
    reaches = [Reach(low=window.low - error, high=window.high + error) for window in windows]

    def look(stripe: Stripe, rows: Float32, columns: Columns) -> None:
        for found in stripe.find(columns, reaches):
            similarity = pair_similarity(rows, columns.rows, found.row, found.column)
            with lock:
                windows[found.reach].add(found.above, similarity)

    scan.every_block(number, look)
    for window in windows:
        window.narrow()


def _accepted(comparison: Comparison, limits: Sequence[_Limit]) -> list[int]:
    """How many genuine pairs exceed the similarity of each limit."""
    similarities = np.array([limit.similarity for limit in limits])
    counts = np.zeros(len(limits), dtype=np.int64)
    if len(limits):
        for similarity in comparison.genuine_similarities():
            counts += len(similarity) - np.searchsorted(
                np.sort(similarity), similarities, side="right"
            )
    return [int(count) for count in counts]
