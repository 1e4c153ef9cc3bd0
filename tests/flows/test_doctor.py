"""The doctor's findings, each on a machine that has the trouble."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import doctor
from flows.doctor import Check, diagnose, doctor_lines, judge_packages


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


@pytest.mark.parametrize(
    ("installed", "status", "detail"),
    [
        ({"numpy": "2.4.6", "onnxruntime": "1.31.1"}, "ok", "all 2 as required"),
        ({"numpy": "2.4.6", "onnxruntime-gpu": "1.31.1"}, "ok", "all 2 as required"),
        ({"onnxruntime": "1.31.1"}, "fail", "numpy is missing"),
        (
            {"numpy": "1.26.4", "onnxruntime": "1.2"},
            "fail",
            "numpy 1.26.4 is not >=2.0; onnxruntime 1.2 is not >=1.20",
        ),
    ],
)
def test_versions_are_held_against_the_project_file(
    installed: dict[str, str], status: str, detail: str
) -> None:
    wanted = [Requirement("numpy>=2.0"), Requirement("onnxruntime>=1.20")]

    check = judge_packages(wanted, {"insightface": "2.1", "prefect": "3.8.8"} | installed)

    assert check.status == status
    assert check.detail.startswith(detail)


@pytest.mark.parametrize(
    ("name", "installed"),
    [
        ("onnxruntime", {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"}),
        ("faiss", {"faiss-cpu": "1.15.1", "faiss-gpu": "1.15.1"}),
        ("OpenCV", {"opencv-python": "5.0.0.93", "opencv-python-headless": "4.12.0.88"}),
    ],
)
def test_two_packages_in_one_folder_are_a_failure(
    name: str, installed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda: installed)

    check = find(diagnose(None), name)

    assert check.status == "fail"
    assert check.detail == " and ".join(f"{n} {v}" for n, v in installed.items()) + (
        " overwrite each other's files"
    )
    assert "uninstall them all" in check.remedy


def test_a_gpu_that_a_cpu_build_cannot_use_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'NVIDIA H100, 81559 MiB'\n")
    driver.chmod(driver.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    check = find(diagnose(None), "GPU")

    assert check.status == "warn"
    assert "NVIDIA H100, 81559 MiB is not used" in check.detail
    assert "requirements/gpu.txt" in check.remedy


def test_a_file_in_place_of_the_workspace_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("not a folder")

    check = find(diagnose(tmp_path / "taken"), "workspace")

    assert check.status == "fail"
    assert "Not a directory" in check.detail


def test_a_full_disk_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for little, status in ((1 << 20, "fail"), (5 << 30, "warn"), (20 << 30, "ok")):
        monkeypatch.setattr(doctor, "_free_bytes", lambda _place, little=little: little)
        assert find(diagnose(tmp_path), "disk").status == status


def test_a_configured_server_must_answer(prefect_server: Any) -> None:
    with temporary_settings({PREFECT_API_URL: prefect_server.api}):
        check = find(diagnose(None), "Prefect")
        assert (check.status, check.detail) == ("ok", f"server at {prefect_server.api}")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        check = find(diagnose(None), "Prefect")
        assert check.status == "fail"
        assert "unset PREFECT_API_URL" in check.remedy


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


def test_a_review_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0123456789abcdef")
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://127.0.0.1:9")

    check = find(diagnose(None), "Label Studio")

    assert check.status == "fail"
    assert "Label Studio at http://127.0.0.1:9: cannot be reached" in check.detail
    assert "LABEL_STUDIO_URL" in check.remedy


def test_a_review_server_tells_its_version_and_our_account(
    label_studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", label_studio.token)
    monkeypatch.setenv("LABEL_STUDIO_URL", label_studio.url)

    check = find(diagnose(None), "Label Studio")

    assert (check.status, check.remedy) == ("ok", "")
    assert f"at {label_studio.url}, as winnow@localhost" in check.detail

    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0123456789abcdef")
    refused = find(diagnose(None), "Label Studio")
    assert refused.status == "fail"
    assert "refuses the token in LABEL_STUDIO_API_KEY" in refused.detail
