"""N:N evaluation: exact TAR@FAR over all pairs, its rate and its memory.

Every case runs in a fresh process, without a GPU on as many threads as it says. Faces are unit rows
in float16 as a face embedder gives them: 512 dimensions, 20 per identity, genuine cosine about 0.6,
128 effective dimensions (the 99.9th percentile of different people is then 0.27). With ``gallery``
"the same" every pair of the faces is compared, each once. ``cpu_s`` is processor time of all
threads; ``wall_s`` is that over ``threads`` on an idle machine, and far more on one that others use
as well, as here. ``pairs_per_s`` is per core and second of processor time and counts a pair once,
however many passes were made.
``hours_for_1e12_per_core`` follows from it. ``rise_mb`` is how far the memory peak rose above the
embeddings. ``kernels`` is OPENBLAS_CORETYPE: numpy's OpenBLAS takes AVX2 kernels on processors it
does not know; with AVX-512 there, SkylakeX is then twice as fast. ``equals_brute_force`` compares
every threshold and count with float64 products of all pairs. The largest case runs with ``--full``
only; a case of any size is run by
``python -m benchmarks.all_pairs --probes 1000000 --gallery 1000000 --threads N``.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.memory import peak_mb, reset_peak_mb
from training.evaluate.all_pairs import (
    AllPairs,
    Work,
    choose_backend,
    evaluate_against_gallery,
    evaluate_within,
)
from training.evaluate.scan import CPU

DIMENSION = 512
FARS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
_PER_IDENTITY = 20
_EFFECTIVE_DIMENSION = 128
_GENUINE = 0.6
_BLOCK = 20_000

Float16 = NDArray[np.float16]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How many probes are compared with how many gallery faces; None: with one another."""

    probes: int
    gallery: int | None
    threads: int = 1
    brute_force: bool = False


CASES = (
    Case(probes=20_000, gallery=20_000, brute_force=True),
    Case(probes=2_000, gallery=100_000),
    Case(probes=2_000, gallery=1_000_000),
)
WHOLE = (
    Case(probes=100_000, gallery=None, threads=2),
    Case(probes=1_000_000, gallery=None, threads=2),
)


def run() -> list[dict[str, Any]]:
    """One row per case; a million faces with one another where torch sees a GPU."""
    return [_apart(case) for case in CASES] if choose_backend() is CPU else run_full()


def run_full() -> list[dict[str, Any]]:
    """The same, and a million faces with one another: about two hours of one core."""
    return [_apart(case) for case in (*CASES, *WHOLE)]


def main() -> None:
    """Run one case of any size and print its row."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.all_pairs", description=main.__doc__
    )
    parser.add_argument("--probes", type=int, default=20_000)
    parser.add_argument("--gallery", type=int, help="without it, probes with one another")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--brute-force", action="store_true")
    request = parser.parse_args()
    case = Case(
        probes=request.probes,
        gallery=request.gallery,
        threads=request.threads,
        brute_force=request.brute_force,
    )
    console = Console()
    for name, value in _apart(case).items():
        console.print(f"{name}: {value}")


def _apart(case: Case) -> dict[str, Any]:
    # Read when the process loads its libraries.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_measure, case).result()


def _measure(case: Case) -> dict[str, Any]:
    probes = _faces(case.probes, 1)
    gallery = None if case.gallery is None else _faces(case.gallery, 2)
    backend = choose_backend()
    progress = _Progress() if case.threads > 1 else None
    work = Work(threads=case.threads, backend=backend, progress=progress)
    before = reset_peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    if gallery is None:
        result = evaluate_within(*probes, fars=FARS, work=work)
    else:
        result = evaluate_against_gallery(probes, gallery, fars=FARS, work=work)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    rise = peak_mb() - before
    pairs = result.genuine + result.impostors
    seconds = cpu if backend is CPU else wall
    return {
        "probes": case.probes,
        "gallery": case.gallery or "the same",
        "products": "numpy" if backend is CPU else "GPU",
        "kernels": os.environ.get("OPENBLAS_CORETYPE", "OpenBLAS's choice"),
        "threads": case.threads,
        "genuine": result.genuine,
        "impostors": result.impostors,
        "passes": result.passes,
        "cpu_s": cpu,
        "wall_s": wall,
        "pairs_per_s": pairs / seconds,
        "hours_for_1e12_per_core": 1e12 / (pairs / seconds) / 3600,
        "rise_mb": rise,
        **{f"tar@far={far:g}": point and point.tar for far, point in result.points.items()},
        "equals_brute_force": (
            _verdict(result, probes, gallery) if case.brute_force and gallery else None
        ),
    }


class _Progress:
    """Says now and then how far a long run is."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._said = time.monotonic()

    def __call__(self, number: int, share: float) -> None:
        if time.monotonic() - self._said >= 10 or share == 1:
            self._said = time.monotonic()
            self._console.print(f"pass {number}: {share:.1%} of the pairs")


def _faces(count: int, seed: int) -> tuple[Float16, Int64]:
    """Unit rows (n, 512) and their identities (n,); any seed shows the same people."""
    person = np.random.default_rng(0)
    basis, _ = np.linalg.qr(person.standard_normal((DIMENSION, _EFFECTIVE_DIMENSION)))
    spread = basis.T.astype(np.float32)
    shot = np.random.default_rng(seed)
    rows = np.empty((count, DIMENSION), dtype=np.float16)
    for start in range(0, count, _BLOCK):
        size = min(_BLOCK, count - start)
        people = -(-size // _PER_IDENTITY)
        centres = person.standard_normal((people, _EFFECTIVE_DIMENSION), np.float32)
        noise = shot.standard_normal((size, _EFFECTIVE_DIMENSION), np.float32)
        inner = np.repeat(centres, _PER_IDENTITY, axis=0)[:size] * _GENUINE**0.5
        inner += noise * (1 - _GENUINE) ** 0.5
        inner /= np.linalg.norm(inner, axis=1, keepdims=True)
        rows[start : start + size] = inner @ spread
    return rows, np.arange(count) // _PER_IDENTITY


def _verdict(
    result: AllPairs, probes: tuple[Float16, Int64], gallery: tuple[Float16, Int64]
) -> str:
    """Count all pairs again by float64 products, which are exact for float16 rows.

    A threshold is right when one impostor similarity lies just below it, and one threshold lower
    would accept more than the FAR allows.
    """
    points = [point for point in result.points.values() if point is not None]
    counts = np.zeros((len(points), 3), dtype=np.int64)
    columns = gallery[0].astype(np.float64).T
    for start in range(0, len(probes[0]), 500):
        some = slice(start, start + 500)
        similarity = probes[0][some].astype(np.float64) @ columns
        same = probes[1][some][:, None] == gallery[1][None]
        genuine, impostor = similarity[same], similarity[~same]
        for index, point in enumerate(points):
            below = np.nextafter(point.threshold, -1)
            counts[index] += (
                np.sum(genuine >= point.threshold),
                np.sum(impostor >= point.threshold),
                np.sum(impostor >= below),
            )
    wrong = [
        f"{point.far:g}"
        for point, (true, false, one_lower) in zip(points, counts.tolist(), strict=True)
        if (point.true_accepts, point.false_accepts) != (true, false)
        or not false <= point.far * point.impostors < one_lower
    ]
    return f"no: {', '.join(wrong)}" if wrong else "yes"


if __name__ == "__main__":
    main()
