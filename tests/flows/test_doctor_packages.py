"""The doctor on packages: versions, and two that write into one folder."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from flows.doctor_packages import check_only_one, judge_packages


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
def test_two_packages_in_one_folder_are_a_failure(name: str, installed: dict[str, str]) -> None:
    check = check_only_one(name, installed)

    assert check.status == "fail"
    assert check.detail == " and ".join(f"{n} {v}" for n, v in installed.items()) + (
        " overwrite each other's files"
    )
    assert "uninstall them all" in check.remedy
