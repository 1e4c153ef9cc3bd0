"""A recogniser behind one callable: aligned crops in, unit embeddings out.

:func:`open_recogniser` reads the recognition model of an insightface pack by the rules of its
``FaceAnalysis`` (which file it is, how input is scaled), without insightface itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from facedata.errors import ModelError, RequestError

CROP_SIZE = 112
SCALE = 127.5
"""Input is (x - SCALE) / SCALE on RGB in 0-255 unless the model says otherwise."""

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Crops uint8 (n, 112, 112, 3) BGR to float32 unit rows (n, d)."""

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_CUDA_OPTIONS = {"cudnn_conv_algo_search": "DEFAULT", "use_tf32": "0"}
_GPU_BATCH = 64
_FIRST_NODES = 8
_DETECTOR_OUTPUTS = 5
_OTHER_SIZES = (96, 192)  # gender and age, and landmarks, in insightface's packs
_MANIFEST_VERSION = 2
_LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserFile:
    """The recognition model of a pack: input is (x - ``mean``) / ``std`` on RGB in 0-255."""

    path: Path
    mean: float
    std: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedOptions:
    """``flip`` adds the mirrored crop's embedding before normalising, as published evaluations do.

    ``batch`` None takes 1 on the processor, so that an int8 model cannot depend on its batch, and
    64 on a GPU. ``threads`` run batches side by side.
    """

    flip: bool = False
    batch: int | None = None
    threads: int = 1


def open_recogniser(pack: Path, options: EmbedOptions | None = None) -> Embed:
    """The recogniser of a pack's folder as a callable, on the GPU where onnxruntime has one.

    Raises ``ModelError`` when there is no usable recogniser for 112×112 crops.
    """
    chosen = options or EmbedOptions()
    file = find_recogniser(pack)
    session = _session(file.path)
    batch = chosen.batch or (_GPU_BATCH if session.get_providers()[0] == _CUDA else 1)
    name = session.get_inputs()[0].name

    def forward(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        blob = np.empty((len(crops), 3, *crops.shape[1:3]), dtype=np.float32)
        np.subtract(crops[..., ::-1].transpose(0, 3, 1, 2), np.float32(file.mean), out=blob)
        blob /= np.float32(file.std)
        try:
            return np.asarray(session.run(None, {name: blob})[0], dtype=np.float32)
        except _LOAD_ERRORS as error:
            raise ModelError(
                f"model {file.path}: it fails on {len(crops)} crops: {_line(error)}; "
                "use a recogniser that insightface can run"
            ) from error

    def embed(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_crops(crops)
        starts = range(0, len(crops), batch)
        with ThreadPoolExecutor(chosen.threads) as pool:
            parts = list(
                pool.map(lambda at: mirrored(forward, crops[at : at + batch], chosen.flip), starts)
            )
        return unit_rows(np.concatenate(parts), str(file.path))

    return embed


def find_recogniser(pack: Path) -> RecogniserFile:
    """The recognition model of a pack's folder: the first ``.onnx`` by name that is one.

    Raises ``ModelError`` when the folder is missing, a file is broken, or none is a recogniser.
    """
    if not pack.is_dir():
        raise ModelError(f"models {pack}: no such folder; give an insightface pack's folder")
    declared = _declared(pack)
    if declared is not None:
        return declared
    paths = sorted(pack.glob("*.onnx"))
    for path in paths:
        model = _read(path)
        if _is_recogniser(model):
            scaled = normalises_itself(model)
            return RecogniserFile(
                path=path, mean=0.0 if scaled else SCALE, std=1.0 if scaled else SCALE
            )
    names = ", ".join(path.name for path in paths) or "no .onnx file"
    raise ModelError(f"models {pack}: no face recogniser among {names}; give a whole pack")


def normalises_itself(model: onnx.ModelProto) -> bool:
    """Insightface's rule: an early subtraction and an early product by name scale the input."""
    names = [node.name for node in model.graph.node[:_FIRST_NODES]]
    return any(name.startswith(("Sub", "_minus")) for name in names) and any(
        name.startswith(("Mul", "_mul")) for name in names
    )


def check_crops(crops: NDArray[np.uint8]) -> None:
    """Refuse anything but uint8 (n, 112, 112, 3), n at least 1."""
    if crops.dtype != np.uint8 or crops.shape[1:] != (CROP_SIZE, CROP_SIZE, 3) or not len(crops):
        raise RequestError(
            f"crops are {crops.dtype} {crops.shape}; give aligned faces, "
            f"uint8 (n, {CROP_SIZE}, {CROP_SIZE}, 3) in BGR"
        )


def mirrored(forward: Embed, crops: NDArray[np.uint8], flip: bool) -> NDArray[np.float32]:
    """Raw embeddings (n, d); with ``flip`` the sum with those of the mirrored crops."""
    return forward(crops) + forward(crops[:, :, ::-1]) if flip else forward(crops)


def unit_rows(raw: NDArray[np.float32], model: str) -> NDArray[np.float32]:
    """Rows of length one.

    Raises ``ModelError`` when one is zero or not finite.
    """
    length = np.linalg.norm(raw, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(length) & (length > 0)))
    if bad.size:
        raise ModelError(
            f"model {model}: {bad.size} of {len(raw)} crops get an embedding that is zero or not "
            f"finite, first row {bad[0]}; use another recogniser"
        )
    rows: NDArray[np.float32] = (raw / length).astype(np.float32)
    return rows


def _declared(pack: Path) -> RecogniserFile | None:
    """What a pack's manifest (version 2) says; older ones are not read, as insightface does."""
    path = pack / "manifest.json"
    try:
        manifest: Any = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        if not isinstance(manifest, dict) or manifest.get("manifest_version") != _MANIFEST_VERSION:
            return None
        task = manifest["tasks"]["recognition"]
        scaling = task.get("preprocessing", {"mean": SCALE, "std": SCALE})
        if scaling == "embedded":
            scaling = {"mean": 0.0, "std": 1.0}
        return RecogniserFile(
            path=pack / Path(task["file"]).name,
            mean=float(scaling["mean"]),
            std=float(scaling["std"]),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"models {pack}: manifest.json does not describe a recogniser: {_line(error)}; "
            "fetch the pack again"
        ) from error


def _is_recogniser(model: onnx.ModelProto) -> bool:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) >= _DETECTOR_OUTPUTS:
        return False
    sides = [dim.dim_value for dim in inputs[0].type.tensor_type.shape.dim][2:]
    return len(sides) == 2 and sides[0] == sides[1] == CROP_SIZE and sides[0] not in _OTHER_SIZES


def _read(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(str(path))
    except (DecodeError, OSError, ValueError) as error:
        raise ModelError(
            f"model {path}: not a readable ONNX file: {_line(error)}; fetch it again"
        ) from error


def _session(path: Path) -> onnxruntime.InferenceSession:
    model = _read(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    image = next((value for value in model.graph.input if value.name not in weights), None)
    if image is None or not image.type.tensor_type.shape.dim:
        raise ModelError(f"model {path}: an ONNX file without an image input; fetch it again")
    # Exports often fix the batch at 1.
    image.type.tensor_type.shape.dim[0].dim_param = "batch"
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    providers: list[Any] = [_CPU]
    if _CUDA in onnxruntime.get_available_providers():
        # CUDA libraries that came as Python packages are not on the loader's path.
        onnxruntime.preload_dlls()
        providers = [(_CUDA, _CUDA_OPTIONS), _CPU]
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), settings, providers=providers
        )
    except _LOAD_ERRORS as error:
        raise ModelError(
            f"model {path}: onnxruntime cannot load it: {_line(error)}; fetch it again"
        ) from error


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
