"""The array types of the renderer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
"""Real numbers; float32 wherever a docstring does not say otherwise."""

Image = npt.NDArray[np.uint8]
"""A picture (height, width, 3), RGB."""

Indices = npt.NDArray[np.intp]
"""Positions in a flat list."""
