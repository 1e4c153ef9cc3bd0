"""N:N verification in the manner of Trillion Pairs: TAR@FAR over all pairs, counted exactly.

The threshold at a FAR is one impostor similarity among up to 10¹²: the one that is exceeded by as
many as the FAR allows. A sample of pairs tells a narrow window that it probably lies in; one pass
over all pairs counts what lies above the window and computes the similarities inside without
rounding. If it was not in there, or there were too many to keep, that window is moved or cut, with
one more pass. No score is ever binned in the answer, and memory stays flat.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AllPairs:
    """``points`` by FAR, None where there are fewer than 1 / FAR impostor pairs.

    ``passes`` is how often all impostor pairs were gone through.
    """

    genuine: int
    impostors: int
    passes: int
    points: dict[float, OperatingPoint | None]


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
) -> AllPairs:
    """TAR@FAR over all pairs i < j of (n, d) float16 or float32 unit rows, identities (n,).

    Raises ``RequestError`` for shapes or values that do not fit, or without genuine or impostor
    pairs.
    """
    return _evaluate(compare_within(embeddings, identity, _WHAT), fars, work or Work())


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


def _evaluate(comparison: Comparison, fars: Sequence[float], work: Work) -> AllPairs:
    check_rates(fars)
    genuine, impostors = comparison.genuine, comparison.impostors
    if not genuine or not impostors:
        raise RequestError(
            f"{_WHAT}: {genuine} genuine and {impostors} impostor pairs; both are needed"
        )
    allowed = {far: allowed_accepts(far, impostors) for far in fars}
    ranks = sorted({count + 1 for count in allowed.values() if count is not None})
    scan = _Scan(comparison=comparison, backend=work.backend or choose_backend(), work=work)
    windows, passes = _resolve(scan, ranks) if ranks else ([], 0)
    accepted = _accepted(comparison, windows)
    points: dict[float, OperatingPoint | None] = dict.fromkeys(fars)
    for far, count in allowed.items():
        if count is not None:
            index = ranks.index(count + 1)
            points[far] = OperatingPoint(
                far=far,
                threshold=threshold_above(windows[index].similarity),
                true_accepts=accepted[index],
                genuine=genuine,
                false_accepts=windows[index].exceeding,
                impostors=impostors,
            )
    return AllPairs(genuine=genuine, impostors=impostors, passes=passes, points=points)


def _resolve(scan: _Scan, ranks: Sequence[int]) -> tuple[list[Window], int]:
    """The impostor similarity at each rank, from the highest, rank 1; and the passes it took."""
    windows, passes = _windows(scan, ranks), 0
    while any(not window.resolved for window in windows):
        passes += 1
        _look_into([window for window in windows if not window.resolved], scan, passes)
    return windows, passes


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
        for counts in pool.map(one, range(count_blocks(scan.comparison))):
            sample.add(counts)
    return sample


def _look_into(windows: Sequence[Window], scan: _Scan, number: int) -> None:
    """One pass over all pairs, after which every window is resolved or a better one."""
    error, lock = scan.error, Lock()
    reaches = [Reach(low=window.low - error, high=window.high + error) for window in windows]

    def look(stripe: Stripe, rows: Float32, columns: Columns) -> None:
        for window, found in zip(windows, stripe.find(columns, reaches), strict=True):
            similarity = pair_similarity(rows, columns.rows, found.row, found.column)
            with lock:
                window.add(found.above, similarity)

    scan.every_block(number, look)
    for window in windows:
        window.narrow()


def _accepted(comparison: Comparison, windows: Sequence[Window]) -> list[int]:
    """How many genuine pairs exceed the similarity of each window."""
    limits = np.array([window.similarity for window in windows])
    counts = np.zeros(len(windows), dtype=np.int64)
    if len(windows):
        for similarity in comparison.genuine_similarities():
            counts += len(similarity) - np.searchsorted(np.sort(similarity), limits, side="right")
    return [int(count) for count in counts]
