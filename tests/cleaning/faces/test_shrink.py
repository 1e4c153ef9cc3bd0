from __future__ import annotations

import numpy as np
import pytest

from cleaning.faces.shrink import halve


@pytest.mark.parametrize("shape", [(2, 2), (6, 8), (7, 9), (101, 64)])
def test_halving_averages_four_pixels(shape: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    height, width = shape[0] // 2, shape[1] // 2
    blocks = photo[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3).astype(float)
    halved = halve(photo)
    assert halved.shape == (height, width, 3)
    assert np.abs(halved - blocks.mean(axis=(1, 3))).max() <= 0.5
