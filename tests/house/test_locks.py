"""The locks pin everything the project file asks for, and name no place to fetch it from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = {
    "cpu": ("label-studio",),
    "dev": ("label-studio", "train", "s3", "dev"),
    "gpu": ("label-studio", "gpu", "s3"),
}
SERVER = "label-studio"
PIN = re.compile(r"^[a-z0-9-]+(\[[a-z0-9,-]+\])?==[0-9][^ ;@]*( ; .+)?$")


def lines_of(lock: str) -> list[str]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return [line for line in text.splitlines() if not line.startswith("#")]


def pins_of(lock: str) -> dict[str, list[Requirement]]:
    pins: dict[str, list[Requirement]] = {}
    for line in lines_of(lock):
        pin = Requirement(line)
        pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    return pins


def wanted_by(extras: Iterable[str]) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("lock", [*LOCKS, SERVER])
def test_every_line_is_an_exact_pin_without_an_address(lock: str) -> None:
    lines = lines_of(lock)

    assert lines
    assert [line for line in lines if not PIN.match(line)] == []


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items())
def test_every_requirement_of_the_project_file_is_pinned(
    lock: str, extras: tuple[str, ...]
) -> None:
    pins = pins_of(lock)
    replaced = {"onnxruntime", "faiss-cpu"} if lock == "gpu" else set()
    wanted = [one for one in wanted_by(extras) if one.name not in replaced]

    for one in wanted:
        versions = [next(iter(pin.specifier)).version for pin in pins[canonicalize_name(one.name)]]
        assert versions, one
        assert all(one.specifier.contains(version) for version in versions), one


def test_the_locks_agree() -> None:
    cpu, dev, gpu = ({line.split(" ;")[0] for line in lines_of(lock)} for lock in LOCKS)

    assert cpu <= dev
    assert {pin.split("==")[0] for pin in cpu - gpu} == {"onnxruntime", "faiss-cpu"}


def test_only_one_onnxruntime_and_one_faiss() -> None:
    gpu = pins_of("gpu")
    default = pins_of("cpu")

    assert {"onnxruntime-gpu", "faiss-gpu"} <= gpu.keys()
    assert not {"onnxruntime", "faiss-cpu"} & gpu.keys()
    assert not {"onnxruntime-gpu", "faiss-gpu", "torch"} & default.keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_only_one_opencv(lock: str) -> None:
    pins = pins_of(lock)

    assert "label-studio-sdk" in pins
    assert [name for name in pins if name.startswith("opencv")] == ["opencv-python"]


def test_the_review_server_is_in_a_lock_of_its_own() -> None:
    assert "label-studio" in pins_of(SERVER)
    assert [lock for lock in LOCKS if "label-studio" in pins_of(lock)] == []
