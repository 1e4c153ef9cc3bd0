"""``winnow doctor``: what on this machine would stop a build or slow it down, and the remedy.

Nothing is changed, downloaded or started; a workspace is probed with a file that has no name.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import httpx
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cleaning.review.label_studio import TOKEN_VARIABLE, connect
from facedata.errors import ModelError, RequestError, ReviewError
from facedata.options import ReviewOptions

Status = Literal["ok", "warn", "fail"]

_PROJECT = "winnow-faces"
_OLDEST_PYTHON = (3, 11)
_GIB = 1 << 30
_LITTLE_DISK, _NO_DISK = 10 * _GIB, 1 * _GIB
_STANDS_FOR = {"onnxruntime-gpu": "onnxruntime", "faiss-gpu": "faiss-cpu"}
"""GPU builds that take the place of the package that Winnow and its vendors ask for."""
_ONE_OF = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "faiss": ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu12"),
    "OpenCV": ("opencv-python", "opencv-python-headless", "opencv-contrib-python"),
}
"""Packages that write into the same folder; two of a row break each other."""
_CUDA = "CUDAExecutionProvider"
_PREFECT_TIMEOUT_SECONDS = 3.0
_REVIEW_PATIENCE_SECONDS = 2.0
_ADDRESS_VARIABLE = "LABEL_STUDIO_URL"
"""Where the review server is, when it is not at the recipe's default: a recipe is not read here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding; ``remedy`` says what to do and is empty when all is well."""

    name: str
    status: Status
    detail: str
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        """The check as a JSON object."""
        return asdict(self)


def diagnose(workspace: Path | None) -> list[Check]:
    """Check this machine, and a workspace when one is given."""
    installed = _installed()
    checks = [_python(), _packages(installed)]
    checks += [_only_one(name, installed) for name in _ONE_OF]
    checks += [_with_imports(check) for check in (_gpu, _demo_pack, _packs)]
    place = workspace or Path.cwd()
    checks.append(_disk(place))
    if workspace is not None:
        checks.append(_writable(workspace))
    checks.append(_prefect())
    if token := os.environ.get(TOKEN_VARIABLE):
        address = os.environ.get(_ADDRESS_VARIABLE) or ReviewOptions().url
        checks.append(_label_studio(address, token))
    return checks


def doctor_lines(checks: Sequence[Check]) -> list[str]:
    """The checks for people: one line each, the remedy below where there is one."""
    lines = []
    for check in checks:
        lines.append(f"{check.status:<5} {check.name:<13} {check.detail}")
        if check.remedy:
            lines.append(f"{'':<19} → {check.remedy}")
    return lines


def _with_imports(check: Callable[[], Check]) -> Check:
    """Run a check that imports what it looks at; a doctor must survive a broken package."""
    try:
        return check()
    except ImportError as error:
        return Check(
            name=check.__name__.strip("_").replace("_", " "),
            status="fail",
            detail=f"cannot be checked: {error}",
            remedy="install a lock again: pip install --no-deps -r requirements/cpu.txt",
        )


def _installed() -> dict[str, str]:
    """Canonical name → version of every installed package."""
    return {
        canonicalize_name(found.name): found.version
        for found in metadata.distributions()
        if found.name
    }


def _python() -> Check:
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < _OLDEST_PYTHON:
        return Check(name="Python", status="fail", detail=detail, remedy="use Python 3.11 or later")
    return Check(name="Python", status="ok", detail=detail)


def _packages(installed: dict[str, str]) -> Check:
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


def _only_one(name: str, installed: dict[str, str]) -> Check:
    found = [f"{one} {installed[one]}" for one in _ONE_OF[name] if one in installed]
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


def _gpu() -> Check:
    import onnxruntime

    gpus = _gpus()
    has_provider = _CUDA in onnxruntime.get_available_providers()
    if not gpus:
        return Check(name="GPU", status="ok", detail="none; faces are found on the CPU")
    if not has_provider:
        return Check(
            name="GPU",
            status="warn",
            detail=f"{gpus[0]} is not used: this onnxruntime is a CPU build",
            remedy="in a new environment: pip install --no-deps -r requirements/gpu.txt",
        )
    if not _cuda_works():
        return Check(
            name="GPU",
            status="warn",
            detail=f"{gpus[0]} is not used: onnxruntime cannot load CUDA or cuDNN",
            remedy="install the CUDA libraries of the lock: pip install --no-deps -r "
            "requirements/gpu.txt; then look at the driver with nvidia-smi",
        )
    return Check(name="GPU", status="ok", detail="; ".join(gpus))


def _gpus() -> list[str]:
    """Names of the GPUs that the NVIDIA driver shows."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def _cuda_works() -> bool:
    """Whether a network of one node really lands on the GPU."""
    import onnxruntime
    from onnx import TensorProto, helper

    shape = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "probe", [shape], [result])
    model = helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_operatorsetid("", 17)]
    )
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), quiet, providers=[_CUDA, "CPUExecutionProvider"]
    )
    return bool(session.get_providers()[0] == _CUDA)


def _demo_pack() -> Check:
    from cleaning.faces.pack import find_pack
    from flows.job import pack_location

    try:
        find_pack(pack_location("demo"))
    except ModelError as error:
        return Check(
            name="demo models",
            status="fail",
            detail=str(error),
            remedy="the checkout is not complete; clone it again",
        )
    return Check(name="demo models", status="ok", detail="they come with Winnow")


def _packs() -> Check:
    from cleaning.faces.pack import ROOT

    folder = ROOT.expanduser() / "models"
    found = sorted({path.relative_to(folder).parts[0] for path in folder.glob("*/**/*.onnx")})
    detail = ", ".join(found) or "none yet; a pack that a recipe names is fetched when first used"
    return Check(name="model packs", status="ok", detail=f"{folder}: {detail}")


def _disk(place: Path) -> Check:
    free = _free_bytes(_existing(place))
    detail = f"{free / _GIB:.1f} GiB free at {place}"
    remedy = "free space, or choose a workspace on another disk"
    if free < _NO_DISK:
        return Check(name="disk", status="fail", detail=detail, remedy=remedy)
    if free < _LITTLE_DISK:
        return Check(name="disk", status="warn", detail=detail, remedy=remedy)
    return Check(name="disk", status="ok", detail=detail)


def _free_bytes(place: Path) -> int:
    return shutil.disk_usage(place).free


def _writable(workspace: Path) -> Check:
    place = _existing(workspace)
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"winnow")
    except OSError as error:
        return Check(
            name="workspace",
            status="fail",
            detail=f"{workspace} cannot be written to: {error.strerror}",
            remedy="choose a folder that you may write to",
        )
    new = "" if place == workspace else " (will be created)"
    return Check(name="workspace", status="ok", detail=f"{workspace} is writable{new}")


def _existing(place: Path) -> Path:
    """The nearest ancestor that is there; ``place`` itself when it is."""
    absolute = place.absolute()
    return next(one for one in (absolute, *absolute.parents) if one.exists())


def _prefect() -> Check:
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if url is None:
        return Check(
            name="Prefect",
            status="ok",
            detail="no server configured; builds run without one, schedules and events need one",
        )
    try:
        httpx.get(f"{url}/health", timeout=_PREFECT_TIMEOUT_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        return Check(
            name="Prefect",
            status="fail",
            detail=f"no answer from {url}: {error}",
            remedy="start it (prefect server start), or unset PREFECT_API_URL to build without it",
        )
    return Check(name="Prefect", status="ok", detail=f"server at {url}")


def _label_studio(url: str, token: str) -> Check:
    """Whether the review server is there and lets us in."""
    try:
        server = connect(url, token, patience=_REVIEW_PATIENCE_SECONDS)
        release, account = server.version(), server.account()
    except (RequestError, ReviewError) as error:
        return Check(
            name="Label Studio",
            status="fail",
            detail=str(error),
            remedy=f"{_ADDRESS_VARIABLE} says where it is; unset {TOKEN_VARIABLE} to build "
            "without a review server",
        )
    detail = f"{release} at {url}, as {account}"
    return Check(name="Label Studio", status="ok", detail=detail)
