"""The doctor on the GPU: one that is there and not used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from flows.doctor_gpu import check_gpu


def test_a_gpu_that_a_cpu_build_cannot_use_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'NVIDIA H100, 81559 MiB'\n")
    driver.chmod(driver.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    check = check_gpu()

    assert check.status == "warn"
    assert "NVIDIA H100, 81559 MiB is not used" in check.detail
    assert "requirements/gpu.txt" in check.remedy
