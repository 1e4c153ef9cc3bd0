"""Checks of ``winnow doctor``: Python, what the project requires, packages that break others."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flows.doctor_check import Check

_PROJECT = "winnow-faces"
_OLDEST_PYTHON = (3, 11)
_STANDS_FOR = {"onnxruntime-gpu": "onnxruntime", "faiss-gpu": "faiss-cpu"}
"""GPU builds that take the place of the package that Winnow and its vendors ask for."""
ONE_OF = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "faiss": ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu12"),
    "OpenCV": ("opencv-python", "opencv-python-headless", "opencv-contrib-python"),
}
"""Packages that write into the same folder; two of a row break each other."""


def installed_packages() -> dict[str, str]:
    """Canonical name → version of every installed package."""
    return {
        canonicalize_name(found.name): found.version
        for found in metadata.distributions()
        if found.name
    }


def check_python() -> Check:
    """Whether Python is new enough."""
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < _OLDEST_PYTHON:
        return Check(name="Python", status="fail", detail=detail, remedy="use Python 3.11 or later")
    return Check(name="Python", status="ok", detail=detail)


def check_packages(installed: dict[str, str]) -> Check:
    """Whether all that the project requires is installed, in versions that it can use."""
    try:
        lines = metadata.requires(_PROJECT) or []
    except metadata.PackageNotFoundError:
        return Check(
            name="packages",
            status="fail",
            detail=f"{_PROJECT} is not installed",
            remedy="run 'make demo', or pip install --no-deps -e . in the project's folder",
        )
    wanted = [Requirement(line) for line in lines]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return judge_packages(wanted, installed)


def judge_packages(wanted: Sequence[Requirement], installed: dict[str, str]) -> Check:
    """Compare requirements with installed versions, by canonical name."""
    there = {_STANDS_FOR.get(name, name): version for name, version in installed.items()}
    there |= installed
    wrong = []
    for one in wanted:
        version = there.get(canonicalize_name(one.name))
        if version is None:
            wrong.append(f"{one.name} is missing")
        elif not one.specifier.contains(version, prereleases=True):
            wrong.append(f"{one.name} {version} is not {one.specifier}")
    if wrong:
        return Check(
            name="packages",
            status="fail",
            detail="; ".join(wrong),
            remedy="install a lock again: pip install --no-deps -r requirements/cpu.txt",
        )
    told = ", ".join(f"{name} {there[name]}" for name in ("insightface", "onnxruntime", "prefect"))
    return Check(name="packages", status="ok", detail=f"all {len(wanted)} as required; {told}")


def check_only_one(name: str, installed: dict[str, str]) -> Check:
    """Whether at most one package of the row ``name`` of ``ONE_OF`` is installed."""
    found = [f"{one} {installed[one]}" for one in ONE_OF[name] if one in installed]
    if len(found) > 1:
        return Check(
            name=name,
            status="fail",
            detail=f"{' and '.join(found)} overwrite each other's files",
            remedy="uninstall them all, then install one lock: on a GPU "
            "pip install --no-deps -r requirements/gpu.txt, else pip install "
            "--no-deps -r requirements/cpu.txt",
        )
    return Check(name=name, status="ok", detail=found[0] if found else "none")
