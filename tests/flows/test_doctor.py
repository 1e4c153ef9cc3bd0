"""The doctor's findings, each on a machine that has the trouble."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flows import doctor
from flows.doctor import diagnose, doctor_lines
from flows.doctor_check import Check


def find(checks: list[Check], name: str) -> Check:
    (check,) = [check for check in checks if check.name == name]
    return check


def test_this_machine_is_fit(tmp_path: Path) -> None:
    checks = diagnose(tmp_path / "new")

    assert [check.name for check in checks] == [
        "Python", "packages", "onnxruntime", "faiss", "OpenCV", "GPU", "demo models",
        "model packs", "disk", "workspace", "Prefect",
    ]  # fmt: skip
    assert [check for check in checks if check.status == "fail"] == []
    assert not (tmp_path / "new").exists()
    assert all(check.remedy for check in checks if check.status != "ok")


def test_without_a_workspace_the_current_folder_tells_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    checks = diagnose(None)

    assert "workspace" not in {check.name for check in checks}
    assert find(checks, "disk").detail.endswith(f"free at {tmp_path}")


def test_a_file_in_place_of_the_workspace_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("not a folder")

    check = find(diagnose(tmp_path / "taken"), "workspace")

    assert check.status == "fail"
    assert "Not a directory" in check.detail


def test_a_full_disk_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for little, status in ((1 << 20, "fail"), (5 << 30, "warn"), (20 << 30, "ok")):
        monkeypatch.setattr(doctor, "_free_bytes", lambda _place, little=little: little)
        assert find(diagnose(tmp_path), "disk").status == status


def test_a_broken_package_is_a_finding_not_a_crash() -> None:
    program = (
        "import sys\n"
        "sys.modules['onnxruntime'] = None\n"
        "from flows.doctor import diagnose\n"
        "print([c.detail for c in diagnose(None) if c.name == 'gpu'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "cannot be checked: import of onnxruntime halted" in done.stdout


def test_lines_give_the_remedy_below_the_finding() -> None:
    checks = [
        Check(name="disk", status="fail", detail="0.1 GiB free", remedy="free space"),
        Check(name="GPU", status="ok", detail="none"),
    ]

    assert doctor_lines(checks) == [
        "fail  disk          0.1 GiB free",
        "                    → free space",
        "ok    GPU           none",
    ]
