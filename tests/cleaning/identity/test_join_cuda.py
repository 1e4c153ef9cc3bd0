"""The torch screen must not change the answer, on whatever device there is."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from cleaning.identity.join import close_pairs, minimum_cross_class
from facedata.errors import WorkError

torch = pytest.importorskip("torch", reason="torch is not installed")
join_cuda = import_module("cleaning.identity.join_cuda")

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("threshold", [-0.2, 0.3, 0.7])
def test_same_bits_as_the_default_screen(device, threshold):
    rng = np.random.default_rng(0)
    identity = rng.integers(0, 60, 700)
    rows = rng.standard_normal((30, 64))[identity % 30] + rng.standard_normal((700, 64))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    screen = join_cuda.cuda_screen(device)
    ours, theirs = (
        minimum_cross_class(rows, identity, threshold, screen=s) for s in (None, screen)
    )
    assert len(ours) > 0
    for name in ("identity_a", "identity_b", "max_similarity", "face_a", "face_b", "close_pairs"):
        assert getattr(ours, name).tolist() == getattr(theirs, name).tolist()
    faces = close_pairs(rows, identity, threshold, screen=screen)
    assert len(faces) == ours.close_pairs.sum()


def test_coarser_float32_products_are_refused():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(WorkError, match="'high': set it to 'highest'"):
            join_cuda.cuda_screen("cpu")
    finally:
        torch.set_float32_matmul_precision(before)
