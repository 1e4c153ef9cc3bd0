"""The names that are known without torch are those that there are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from training.backbones import BACKBONES
from training.margins import MARGINS
from training.request import BACKBONE_NAMES, MARGIN_NAMES


def test_the_names_are_those_that_there_are() -> None:
    assert tuple(sorted(BACKBONES)) == BACKBONE_NAMES
    assert tuple(sorted(MARGINS)) == MARGIN_NAMES


@pytest.mark.parametrize("module", ["training.request", "training.run_state"])
def test_torch_is_left_alone(module: str) -> None:
    program = f"import sys, {module}; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "False\n"
