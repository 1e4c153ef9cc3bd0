"""N:N: the same numbers as brute force over a whole matrix, to the last bit, however it is cut."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facedata.errors import RequestError
from training.evaluate.all_pairs import (
    AllPairs,
    Work,
    choose_backend,
    evaluate_against_gallery,
    evaluate_within,
)
from training.evaluate.sample import Sample
from training.evaluate.scan import CPU, Backend, CpuStripe
from training.evaluate.scan_cuda import CUDA, TORCH_CPU, TorchCpuStripe

Faces = tuple[NDArray[np.float32], NDArray[np.int64]]
AnyFaces = tuple[NDArray[np.floating[Any]], NDArray[np.int64]]
FARS = (0.3, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-9)
SMALL = (
    Backend(prepare=CpuStripe, stripe=7, width=5),
    Backend(prepare=TorchCpuStripe, stripe=7, width=5),
)


def brute_force(
    probes: AnyFaces, gallery: AnyFaces, within: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Genuine and impostor similarities of all pairs, from one float64 matrix."""
    left, right = (
        np.rint(rows.astype(np.float64) * 2**26) / 2**26 for rows in (probes[0], gallery[0])
    )
    similarity = left @ right.T
    same = probes[1][:, None] == gallery[1][None]
    counted = np.triu(np.ones_like(same), 1) if within else np.ones_like(same)
    return similarity[same & counted], np.sort(similarity[~same & counted])


def check(result: AllPairs, genuine: NDArray[np.float64], impostor: NDArray[np.float64]) -> None:
    assert (result.genuine, result.impostors) == (len(genuine), len(impostor))
    for far, point in result.points.items():
        allowed = int(Fraction(repr(far)) * len(impostor))
        if not allowed:
            assert point is None
            continue
        limit = impostor[len(impostor) - 1 - allowed]
        assert point is not None
        assert point.threshold == np.nextafter(limit, 2)
        assert point.false_accepts == np.sum(impostor > limit)
        assert point.true_accepts == np.sum(genuine > limit)


@pytest.mark.parametrize("backend", [CPU, TORCH_CPU], ids=["numpy", "torch"])
def test_within_2000_faces(
    people: Callable[..., Faces], backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several tiles in each stripe.
    monkeypatch.setattr("training.evaluate.scan._TILE_ROWS", 64)
    monkeypatch.setattr("training.evaluate.scan_cuda._TILE_ROWS", 64)
    faces = people(200, 10)
    result = evaluate_within(*faces, fars=FARS, work=Work(threads=2, backend=backend))

    check(result, *brute_force(faces, faces, within=True))
    assert result.genuine == 200 * 45
    assert [far for far, point in result.points.items() if point is None] == [1e-9]
    assert result.passes == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch sees")
def test_a_gpu_gives_the_same_numbers(people: Callable[..., Faces]) -> None:
    faces = people(1000, 10, 128)
    result = evaluate_within(*faces, fars=FARS, work=Work(threads=2, backend=CUDA))
    assert result == evaluate_within(*faces, fars=FARS, work=Work(backend=CPU))


def test_many_pairs_take_one_pass(people: Callable[..., Faces]) -> None:
    faces = people(1200, 5, 32)
    result = evaluate_within(*faces, fars=(1e-3, 1e-6), work=Work(backend=CPU))

    check(result, *brute_force(faces, faces, within=True))
    assert result.impostors > 1 << 24
    assert result.passes == 1


def test_probes_against_a_gallery_with_distractors(people: Callable[..., Faces]) -> None:
    rows, identity = people(300, 5)
    probes = (rows[:400], identity[:400])
    known = np.isin(identity[400:], identity[:400])
    gallery = (rows[400:].astype(np.float16), np.where(known, identity[400:], -1))

    result = evaluate_against_gallery(probes, gallery, fars=FARS, work=Work(backend=CPU))

    check(result, *brute_force(probes, gallery, within=False))


@st.composite
def tied_faces(draw: st.DrawFn) -> Faces:
    """Faces from a handful of directions, so that most similarities tie, in a few identities."""
    directions = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0], [0.8, -0.6]], dtype=np.float32)
    chosen = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=30))
    chosen += [(0, 0), (1, 0), (2, 1)]
    return directions[[way for way, _ in chosen]], np.array([who for _, who in chosen])


@settings(max_examples=30, deadline=None)
@given(faces=tied_faces(), backend=st.sampled_from(SMALL), keep=st.sampled_from([2, 1000, 1000]))
def test_ties_and_any_cut(faces: Faces, backend: Backend, keep: int) -> None:
    work = Work(threads=2, backend=backend, keep=keep)

    result = evaluate_within(*faces, fars=(0.5, 0.3, 0.1, 0.04), work=work)

    check(result, *brute_force(faces, faces, within=True))


@settings(max_examples=40, deadline=None)
@given(probes=tied_faces(), gallery=tied_faces(), backend=st.sampled_from(SMALL))
def test_ties_against_a_gallery(probes: Faces, gallery: Faces, backend: Backend) -> None:
    result = evaluate_against_gallery(
        probes, gallery, fars=(0.5, 0.1, 0.04), work=Work(backend=backend)
    )

    check(result, *brute_force(probes, gallery, within=False))


def test_a_window_that_may_keep_little_is_cut_by_more_passes(
    people: Callable[..., Faces],
) -> None:
    faces = people(100, 4)
    result = evaluate_within(*faces, fars=FARS, work=Work(backend=CPU, keep=1))

    check(result, *brute_force(faces, faces, within=True))
    assert result.passes > 1


@pytest.mark.parametrize("start", [(0.9, 0.91), (-0.9, -0.89), (0.05, 0.06), None])
def test_a_window_that_misses_is_moved(
    people: Callable[..., Faces],
    start: tuple[float, float] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a margin some windows miss by little; a sample from elsewhere misses by far."""
    monkeypatch.setattr("training.evaluate.sample.DEVIATIONS", 0.0)
    if start is not None:
        monkeypatch.setattr(Sample, "around", lambda *_: start)
    faces = people(100, 4)
    result = evaluate_within(*faces, fars=FARS, work=Work(backend=CPU, keep=50))

    check(result, *brute_force(faces, faces, within=True))


def test_progress_covers_every_pass(people: Callable[..., Faces]) -> None:
    seen: list[tuple[int, float]] = []
    work = Work(backend=CPU, progress=lambda number, share: seen.append((number, share)))

    evaluate_within(*people(20, 3), fars=[0.1], work=work)

    assert [share for number, share in seen if number == 1][-1] == 1.0
    assert seen[-1] == (1, 1.0)


def test_memory_maps_are_read_as_they_are(
    people: Callable[..., Faces], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows, identity = people(40, 4)
    path = tmp_path_factory.mktemp("rows") / "rows.npy"
    np.save(path, rows.astype(np.float16))
    mapped = np.load(path, mmap_mode="r")

    result = evaluate_within(mapped, identity, fars=[0.01], work=Work(backend=CPU))

    whole = (rows.astype(np.float16), identity)
    check(result, *brute_force(whole, whole, within=True))


def test_the_backend_is_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_backend() is CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_backend() is CUDA


@settings(max_examples=40, deadline=None)
@given(
    faces=tied_faces(),
    missing=st.lists(st.integers(0, 5), max_size=40),
    backend=st.sampled_from(SMALL),
)
def test_pairs_without_a_face_count_and_are_never_accepted(
    faces: Faces, missing: list[int], backend: Backend
) -> None:
    rows, identity = faces
    result = evaluate_within(
        rows, identity, fars=(0.9, 0.5, 0.1), work=Work(backend=backend), without_face=missing
    )

    everybody = np.concatenate([identity, np.array(missing, dtype=identity.dtype)])
    similarity = np.full((len(everybody), len(everybody)), -1.0)
    grid = np.rint(rows.astype(np.float64) * 2**26) / 2**26
    similarity[: len(rows), : len(rows)] = grid @ grid.T
    upper = np.triu(np.ones_like(similarity, dtype=bool), 1)
    same = everybody[:, None] == everybody[None]
    check(result, similarity[same & upper], np.sort(similarity[~same & upper]))
    assert result.missing == int(upper.sum()) - len(rows) * (len(rows) - 1) // 2


def test_bad_input_is_named(people: Callable[..., Faces]) -> None:
    rows, identity = people(3, 2)
    long = rows.copy()
    long[4] *= 3
    with pytest.raises(RequestError, match="row 4 has length 3; give unit rows"):
        evaluate_within(long, identity)
    with pytest.raises(RequestError, match=r"embeddings \(6, 64\) and identities \(2,\)"):
        evaluate_within(rows, identity[:2])
    with pytest.raises(RequestError, match="embeddings are float64"):
        evaluate_within(rows.astype(np.float64), identity)
    with pytest.raises(RequestError, match="0 genuine and 15 impostor pairs"):
        evaluate_within(rows, np.arange(6))
    with pytest.raises(RequestError, match="64 and 32 dimensions"):
        evaluate_against_gallery((rows, identity), people(3, 2, 32))
