"""Model packs: insightface tells which file is what and how its input is scaled.

This is the only module that imports insightface; its types go no further.
"""

from __future__ import annotations

import contextlib
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cleaning.faces.network import (
    LOAD_ERRORS,
    Network,
    choose_providers,
    metadata_of,
    open_network,
    read_graph,
    single_thread_options,
)
from facedata.errors import ModelError

ROOT = Path("~/.insightface")
"""Where insightface keeps the packs it fetched."""

_DEFAULT_DET_SIZE = 640
_DET_SIZE_PROPERTY = "det_size"
_ROLES = ("detection", "recognition")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorModel:
    """An SCRFD detector with five landmarks.

    ``strides`` of its feature maps and ``anchors`` per cell; ``mean`` and ``std`` of the input
    scaling (x − mean) / std on RGB in 0–255; ``fixed_size`` (width, height) when the file takes
    no other; ``det_size`` the longer side in pixels it was trained for.
    """

    network: Network
    strides: tuple[int, ...]
    anchors: int
    mean: float
    std: float
    fixed_size: tuple[int, int] | None
    det_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserModel:
    """An embedder of aligned faces; ``size`` is its input side in pixels, ``dim`` its output."""

    network: Network
    mean: float
    std: float
    size: int
    dim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPack:
    """A detector and a recogniser, ready to run. ``name`` is for people, digests for keys."""

    name: str
    detector: DetectorModel
    recogniser: RecogniserModel

    @property
    def digests(self) -> dict[str, str]:
        """File name → sha256 in hex, of the two models used."""
        networks = (self.detector.network, self.recogniser.network)
        return {network.path.name: network.digest for network in networks}


def find_pack(models: str | Path, *, root: Path = ROOT, download: bool = False) -> Path:
    """Find a pack's folder: ``models`` is a folder, or the name of an insightface pack.

    A name is looked up below ``root``/models, as insightface does, and fetched from its release
    page only when ``download`` is true.

    Raises:
        ModelError: no such folder or pack, or fetching failed.
    """
    folder = Path(models).expanduser()
    known = root.expanduser() / "models" / str(models)
    if folder.is_dir():
        return _folder_with_models(folder)
    if known.is_dir():
        return _folder_with_models(known)
    if isinstance(models, Path) or len(folder.parts) != 1 or folder.suffix:
        raise ModelError(
            f"models {str(models)!r}: no such folder; give a folder with .onnx files, "
            "or the name of an insightface pack"
        )
    if not download:
        raise ModelError(
            f"models {models!r}: not found in {known.parent}; put the pack's .onnx files into "
            f"{known}, give a folder, or allow the download"
        )
    return _folder_with_models(_download(models, root.expanduser()))


def load_pack(models: str | Path, *, root: Path = ROOT, download: bool = False) -> ModelPack:
    """Load the detector and the recogniser of a pack (see :func:`find_pack`).

    Raises:
        ModelError: the pack is missing, a file is broken, or it lacks a detector with landmarks
            or a recogniser.
    """
    folder = find_pack(models, root=root, download=download)
    roles = _identify(folder)
    for role in _ROLES:
        if role not in roles:
            raise ModelError(
                f"models {folder}: no {role} model among {_names(folder)}; a pack needs an SCRFD "
                "detector with landmarks and a face embedder"
            )
    providers = choose_providers()
    _find_cuda(providers)
    name = models if isinstance(models, str) else folder.name
    return ModelPack(
        name=name,
        detector=_detector(roles["detection"], providers),
        recogniser=_recogniser(roles["recognition"], providers),
    )


def _folder_with_models(folder: Path) -> Path:
    """Some released archives hold a second folder of the same name."""
    nested = folder / folder.name
    found = nested if not any(folder.glob("*.onnx")) and nested.is_dir() else folder
    if not any(found.glob("*.onnx")):
        raise ModelError(f"models {found}: no .onnx file in this folder; fetch the pack again")
    return found.resolve()


def _names(folder: Path) -> str:
    return ", ".join(path.name for path in sorted(folder.glob("*.onnx")))


def _download(name: str | Path, root: Path) -> Path:
    from insightface.utils import ensure_available

    target = root / "models" / str(name)
    try:
        # insightface reports its progress with print; standard output belongs to the command.
        with contextlib.redirect_stdout(sys.stderr):
            return Path(ensure_available("models", str(name), root=str(root)))
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        raise ModelError(
            f"models {str(name)!r}: the download failed ({type(error).__name__}); check the name "
            f"and the connection, or put the pack's .onnx files into {target}"
        ) from error


def _identify(folder: Path) -> dict[str, Any]:
    """Role → insightface's wrapper, by the rules of its ``FaceAnalysis``."""
    from insightface.model_zoo.model_zoo import get_model
    from insightface.model_zoo.package_manifest import has_model_package_manifest

    if has_model_package_manifest(folder):
        return _identify_by_manifest(folder)
    roles: dict[str, Any] = {}
    for path in sorted(folder.glob("*.onnx")):
        read_graph(path)
        wrapper = _wrap(path, lambda path=path: get_model(str(path), **_session_arguments()))
        if wrapper is not None and wrapper.taskname not in roles:
            roles[wrapper.taskname] = wrapper
    return roles


def _identify_by_manifest(folder: Path) -> dict[str, Any]:
    from insightface.model_zoo.model_zoo import get_model
    from insightface.model_zoo.package_manifest import load_model_package

    tasks = _wrap(folder, lambda: load_model_package(str(folder)).tasks)
    return {
        role: _wrap(
            folder,
            lambda role=role: get_model(str(folder), model_task=role, **_session_arguments()),
        )
        for role in _ROLES
        if role in tasks
    }


def _find_cuda(providers: list[str]) -> None:
    """Let onnxruntime see CUDA libraries that were installed as Python packages."""
    from insightface.model_zoo.onnxruntime_utils import preload_cuda_libraries

    preload_cuda_libraries(providers)


def _session_arguments() -> dict[str, Any]:
    return {"providers": ["CPUExecutionProvider"], "sess_options": single_thread_options()}


def _wrap(path: Path, load: Any) -> Any:
    try:
        return load()
    except (*LOAD_ERRORS, AssertionError, OSError, RuntimeError, TypeError, ValueError) as error:
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(
            f"model {path}: insightface cannot load it: {first}; fetch it again"
        ) from error


def _detector(wrapper: Any, providers: list[str]) -> DetectorModel:
    path = Path(wrapper.model_file)
    if not wrapper.use_kps:
        raise ModelError(
            f"model {path}: a detector without landmarks; faces cannot be aligned with it, use "
            "an SCRFD export with landmarks (its file name usually ends in kps)"
        )
    fixed = wrapper.static_input_size
    return DetectorModel(
        network=open_network(path, providers),
        strides=tuple(wrapper._feat_stride_fpn),
        anchors=wrapper._num_anchors,
        mean=float(wrapper.input_mean),
        std=float(wrapper.input_std),
        fixed_size=None if fixed is None else (int(fixed[0]), int(fixed[1])),
        det_size=_trained_size(path) if fixed is None else max(fixed),
    )


def _trained_size(path: Path) -> int:
    text = metadata_of(read_graph(path)).get(_DET_SIZE_PROPERTY, str(_DEFAULT_DET_SIZE))
    if not text.isdecimal() or not 32 <= int(text) <= 4096:
        raise ModelError(
            f"model {path}: metadata {_DET_SIZE_PROPERTY} is {text!r}, expected 32 to 4096 pixels"
        )
    return int(text)


def _recogniser(wrapper: Any, providers: list[str]) -> RecogniserModel:
    path = Path(wrapper.model_file)
    network = open_network(path, providers)
    size = int(wrapper.input_size[0])
    probe = network.run(_grey_input(size))
    if len(probe) != 1 or probe[0].ndim != 2:
        shapes = [output.shape for output in probe]
        raise ModelError(
            f"model {path}: outputs of shape {shapes}, expected one embedding per face; "
            "use a face recogniser"
        )
    return RecogniserModel(
        network=network,
        mean=float(wrapper.input_mean),
        std=float(wrapper.input_std),
        size=size,
        dim=int(probe[0].shape[1]),
    )


def _grey_input(size: int) -> Any:
    import numpy as np

    return np.zeros((1, 3, size, size), dtype=np.float32)
