"""The exact join against faiss ``IndexFlatIP.range_search``: one thread, the same pairs.

Every case runs in a fresh process that is held to one thread. Both sides get the same float32 rows
and take turns; the best round counts. ``identities`` are unit rows as a face embedder gives
them: 20 per identity, genuine cosine about 0.6, 128 effective dimensions (the 99.9th percentile of
different people is then 0.27), and 1 % of the identities there twice. ``random`` are unit rows
without any structure.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.memory import peak_mb, reset_peak_mb
from cleaning.identity.join import close_pairs, minimum_cross_class
from cleaning.identity.join_pairs import FacePairs, Int64
from cleaning.identity.screen import Float32

THRESHOLD = 0.4
DIMENSION = 512
_PER_IDENTITY = 20
_EFFECTIVE_DIMENSION = 128
_GENUINE = 0.6
# float32 sums of 512 products are this good; closer to the threshold the two may differ rightly.
_ROUNDING = 1e-6
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What to measure: a kind of data, a number of faces, how many times each side runs."""

    data: str
    faces: int
    rounds: int


CASES = (
    Case(data="identities", faces=10_000, rounds=2),
    Case(data="identities", faces=20_000, rounds=2),
    Case(data="identities", faces=50_000, rounds=2),
    Case(data="random", faces=50_000, rounds=1),
)


def run() -> list[dict[str, Any]]:
    """One row per case.

    ``*_s`` are the least processor seconds of a round: what the wall shows on an idle machine, and
    less disturbed on a busy one. ``speedup`` is faiss against the slower of the two answers.
    ``differing_pairs`` counts pairs that only one side has, ``beyond_rounding`` those of them that
    lie more than 1e-6 from the threshold. ``*_mb`` is how far the process's memory peak rose.
    ``threads`` is processor time over wall time: at most 1 when the limit held.
    """
    rows = []
    with _environment(_ONE_THREAD):
        for case in CASES:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                rows.append(process.submit(_measure, case).result() | _machine())
    return rows


def main() -> None:
    """Print the table, one column per case."""
    rows = run()
    machine = _machine()
    table = Table(title=f"Exact join, {DIMENSION} dimensions, t = {THRESHOLD}, one thread")
    table.add_column("data")
    for row in rows:
        table.add_column(row["data"], justify="right")
    for name in rows[0]:
        if name not in machine and name != "data":
            table.add_row(name, *(_text(row[name]) for row in rows))
    console = Console()
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()))


def _measure(case: Case) -> dict[str, Any]:
    faiss.omp_set_num_threads(1)
    embeddings, identity = _dataset(case)
    sides: dict[str, Callable[[], Any]] = {
        "join": lambda: minimum_cross_class(embeddings, identity, THRESHOLD),
        "close_pairs": lambda: close_pairs(embeddings, identity, THRESHOLD),
        "faiss": lambda: _range_search(embeddings),
    }
    wall, cpu = time.perf_counter(), time.process_time()
    runs = [{name: _timed(side) for name, side in sides.items()} for _ in range(case.rounds)]
    threads = (time.process_time() - cpu) / (time.perf_counter() - wall)
    seconds = {name: min(run[name].seconds for run in runs) for name in sides}
    first = runs[0]
    return {
        "data": case.data,
        "faces": case.faces,
        **{f"{name}_s": value for name, value in seconds.items()},
        "speedup": seconds["faiss"] / max(seconds["join"], seconds["close_pairs"]),
        "pairs": len(first["close_pairs"].answer),
        "class_pairs": len(first["join"].answer),
        **_differences(first["close_pairs"].answer, first["faiss"].answer, embeddings, identity),
        **{f"{name}_mb": run.peak_mb for name, run in first.items()},
        "threads": threads,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    answer: Any
    seconds: float
    peak_mb: float


def _timed(side: Callable[[], Any]) -> _Run:
    before = reset_peak_mb()
    start = time.process_time()
    answer = side()
    seconds = time.process_time() - start
    return _Run(answer=answer, seconds=seconds, peak_mb=peak_mb() - before)


def _dataset(case: Case) -> tuple[Float32, Int64]:
    """Unit rows (n, 512) and their identities (n,)."""
    rng = np.random.default_rng(case.faces)
    identity = np.arange(case.faces) // _PER_IDENTITY
    if case.data == "random":
        rows = rng.standard_normal((case.faces, DIMENSION), np.float32)
    else:
        count = int(identity[-1]) + 1
        person = np.where(np.arange(count) % 100 == 99, np.arange(count) - 1, np.arange(count))
        centres = rng.standard_normal((count, _EFFECTIVE_DIMENSION), np.float32)
        noise = rng.standard_normal((case.faces, _EFFECTIVE_DIMENSION), np.float32)
        inner = centres[person[identity]] * _GENUINE**0.5 + noise * (1 - _GENUINE) ** 0.5
        basis, _ = np.linalg.qr(rng.standard_normal((DIMENSION, _EFFECTIVE_DIMENSION)))
        rows = inner @ basis.T.astype(np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), identity


def _range_search(embeddings: Float32) -> tuple[Int64, Int64]:
    """How many rows each row finds, and which."""
    index = faiss.IndexFlatIP(embeddings.shape[1])
    index.add(embeddings)
    limits, _, found = index.range_search(embeddings, THRESHOLD)
    ends = limits.astype(np.int64)
    return ends[1:] - ends[:-1], found


def _differences(
    pairs: FacePairs,
    peer: tuple[Int64, Int64],
    embeddings: Float32,
    identity: Int64,
) -> dict[str, int]:
    """Pairs that one side has and the other has not; faiss finds each pair twice, and classes'."""
    counts, second = peer
    n = len(identity)
    first = np.repeat(np.arange(n), counts)
    cross = (first < second) & (identity[first] != identity[second])
    theirs = first[cross] * n + second[cross]
    first, second = np.divmod(np.setxor1d(pairs.face_a * n + pairs.face_b, theirs), n)
    similarity = np.einsum("ij,ij->i", embeddings[first], embeddings[second], dtype=np.float64)
    return {
        "differing_pairs": len(similarity),
        "beyond_rounding": int(np.sum(np.abs(similarity - THRESHOLD) > _ROUNDING)),
    }


def _machine() -> dict[str, str]:
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "")
    versions = {name: version(name) for name in ("numpy", "onnxruntime", "faiss-cpu")}
    return {
        "machine": f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores",
        "int8_instructions": "yes" if "vnni" in flags else "none seen",
        **versions,
    }


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


if __name__ == "__main__":
    main()
