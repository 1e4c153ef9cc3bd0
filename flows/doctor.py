"""``winnow doctor``: what on this machine would stop a build or slow it down, and the remedy.

Nothing is changed, downloaded or started; a workspace is probed with a file that has no name.
What is looked at, in which order, is said here; checks of packages, the GPU and servers have
modules of their own, those of models, disk and workspace are below.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from facedata.errors import ModelError
from flows.doctor_check import Check
from flows.doctor_gpu import check_gpu
from flows.doctor_packages import (
    ONE_OF,
    check_only_one,
    check_packages,
    check_python,
    installed_packages,
)
from flows.doctor_servers import check_servers

_GIB = 1 << 30
_LITTLE_DISK, _NO_DISK = 10 * _GIB, 1 * _GIB


def diagnose(workspace: Path | None) -> list[Check]:
    """Check this machine, and a workspace when one is given."""
    installed = installed_packages()
    checks = [check_python(), check_packages(installed)]
    checks += [check_only_one(name, installed) for name in ONE_OF]
    checks.append(_with_imports("gpu", check_gpu))
    checks.append(_with_imports("demo pack", _demo_pack))
    checks.append(_with_imports("packs", _packs))
    checks.append(_disk(workspace or Path.cwd()))
    if workspace is not None:
        checks.append(_writable(workspace))
    return checks + check_servers()


def doctor_lines(checks: Sequence[Check]) -> list[str]:
    """The checks for people: one line each, the remedy below where there is one."""
    lines = []
    for check in checks:
        lines.append(f"{check.status:<5} {check.name:<13} {check.detail}")
        if check.remedy:
            lines.append(f"{'':<19} → {check.remedy}")
    return lines


def _with_imports(name: str, check: Callable[[], Check]) -> Check:
    """Run a check that imports what it looks at; a doctor must survive a broken package."""
    try:
        return check()
    except ImportError as error:
        return Check(
            name=name,
            status="fail",
            detail=f"cannot be checked: {error}",
            remedy="install a lock again: pip install --no-deps -r requirements/cpu.txt",
        )


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
