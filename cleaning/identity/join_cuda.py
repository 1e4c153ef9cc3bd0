"""The exact join's screen on a GPU: float32 products by torch, which only this module imports.

``minimum_cross_class(..., screen=cuda_screen(), block=8192)`` gives the same bits as the default
screen does: the GPU only says which pairs to check, and it names every pair that rounding could
have put below the threshold.
"""

from __future__ import annotations

import numpy as np
import torch

from cleaning.identity.screen import MAX_NORM, Float32, Int64, Screen, TileScreen
from facedata.errors import WorkError


def cuda_screen(device: str = "cuda") -> Screen:
    """A screen on ``device``.

    Raises ``WorkError`` when torch was told to round float32 products further (TF32), which would
    lose pairs.
    """
    if torch.get_float32_matmul_precision() != "highest":
        raise WorkError(
            f"exact join: torch's float32 precision is {torch.get_float32_matmul_precision()!r}: "
            "set it to 'highest'"
        )

    def screen(rows: Float32, threshold: float) -> TileScreen:
        left = torch.from_numpy(rows).to(device)
        # A float32 sum of d products errs by at most d·2⁻²⁴·Σ|aᵢbᵢ|, to first order, in any order
        # (Higham, Accuracy and Stability of Numerical Algorithms, 3.1); twice that covers the rest.
        least = threshold - 2 * rows.shape[1] * 2.0**-24 * MAX_NORM**2

        def hits(columns: Float32, first: int) -> Int64:
            product = left[:first] @ torch.from_numpy(columns).to(device).T
            reached = torch.nonzero(product.ravel() >= least).ravel()
            return reached.cpu().numpy().astype(np.int64, copy=False)

        return hits

    return screen
