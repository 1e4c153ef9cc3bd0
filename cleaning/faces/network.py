"""One ONNX network on onnxruntime, loaded so that it runs fast and takes batches."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from facedata.errors import ModelError

Blob = NDArray[np.float32] | NDArray[np.uint8]

LOAD_ERRORS = (
    DecodeError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
"""What onnx and onnxruntime raise on a file that is no usable network."""

_RUN_ERRORS = (ort_errors.Fail, ort_errors.InvalidArgument, ort_errors.RuntimeException)
_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_CUDA_OPTIONS = {"cudnn_conv_algo_search": "DEFAULT", "use_tf32": "0"}
"""The search for the quickest algorithm, and reduced precision, would differ between runs."""
_OPSET_OF_BROADCAST_MAX = 8


class Network:
    """A loaded network; ``run`` may be called from several threads at once.

    ``on_gpu`` tells where it runs, ``digest`` is the sha256 of its file in hex. On the CPU each
    call uses one thread: photos in parallel use the cores better than one photo spread over them.
    """

    def __init__(self, path: Path, session: onnxruntime.InferenceSession, digest: str) -> None:
        self.path = path
        self.digest = digest
        self.on_gpu = session.get_providers()[0] == _CUDA
        self._session = session
        first = session.get_inputs()[0]
        self._input = first.name
        self._dtype = np.uint8 if first.type == "tensor(uint8)" else np.float32
        self._outputs = [output.name for output in session.get_outputs()]

    def run(self, blob: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Run on an NCHW batch; returns the outputs in the file's order.

        Raises:
            ModelError: the network does not take this shape or fails on it.
        """
        try:
            taken = np.ascontiguousarray(blob, dtype=self._dtype)
            outputs: Sequence[Any] = self._session.run(self._outputs, {self._input: taken})
        except _RUN_ERRORS as error:
            raise ModelError(
                f"model {self.path}: it fails on input of shape {blob.shape}: {_line(error)}; "
                "use a pack that insightface can run"
            ) from error
        return [np.asarray(output, dtype=np.float32) for output in outputs]


def choose_providers() -> list[str]:
    """Onnxruntime's providers to use: CUDA when it is there, the CPU always."""
    if _CUDA not in onnxruntime.get_available_providers():
        return [_CPU]
    # CUDA libraries that came as Python packages are not on the loader's path.
    onnxruntime.preload_dlls()
    return [_CUDA, _CPU]


def single_thread_options() -> onnxruntime.SessionOptions:
    """Session options for one thread per call and no log lines below errors."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.use_deterministic_compute = True
    return options


def read_graph(path: Path) -> onnx.ModelProto:
    """Read and check an ONNX file.

    Raises:
        ModelError: the file cannot be read or is no ONNX network.
    """
    try:
        model = onnx.load(str(path))
    except (DecodeError, OSError, ValueError) as error:
        raise ModelError(
            f"model {path}: not a readable ONNX file: {_line(error)}; fetch it again"
        ) from error
    weights = {tensor.name for tensor in model.graph.initializer}
    if all(value.name in weights for value in model.graph.input) or not model.graph.output:
        raise ModelError(f"model {path}: an ONNX file without a network; fetch it again")
    return model


def open_network(path: Path, providers: Sequence[str]) -> Network:
    """Open an ONNX file for batches of any size, with slow operators replaced on the CPU.

    Raises:
        ModelError: the file is no network that onnxruntime can load.
    """
    model = read_graph(path)
    _free_batch(model.graph)
    if providers[0] == _CPU and _opset(model) >= _OPSET_OF_BROADCAST_MAX:
        _replace_prelu(model.graph)
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(),
            single_thread_options(),
            providers=[(_CUDA, _CUDA_OPTIONS) if name == _CUDA else name for name in providers],
        )
    except LOAD_ERRORS as error:
        raise ModelError(
            f"model {path}: onnxruntime cannot load it: {_line(error)}; fetch it again"
        ) from error
    return Network(path, session, file_digest(path))


def file_digest(path: Path) -> str:
    """The sha256 of a file in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def metadata_of(model: onnx.ModelProto) -> dict[str, str]:
    """The metadata properties an exporter left in the file."""
    return {prop.key: prop.value for prop in model.metadata_props}


def _opset(model: onnx.ModelProto) -> int:
    return next((entry.version for entry in model.opset_import if not entry.domain), 0)


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _free_batch(graph: onnx.GraphProto) -> None:
    """Let the first dimension of the input be any size.

    Exports often fix it at 1. Declared output shapes are dropped: SCRFD exports declare those of
    one 640-pixel image.
    """
    weights = {tensor.name for tensor in graph.initializer}
    image = next(value for value in graph.input if value.name not in weights)
    image.type.tensor_type.shape.dim[0].dim_param = "batch"
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")


def _replace_prelu(graph: onnx.GraphProto) -> None:
    """Replace PRelu by max(x, slope · x), which is the same number for every slope ≤ 1.

    onnxruntime's PRelu on the CPU takes more than half of a MobileFaceNet's time; the two simple
    operators take a tenth of it.
    """
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for index, node in enumerate(graph.node):
        slope = weights.get(node.input[1]) if node.op_type == "PRelu" else None
        if slope is None or numpy_helper.to_array(slope).max() > 1.0:
            nodes.append(node)
            continue
        scaled = f"scaled_{index}_{node.output[0]}"
        nodes.append(helper.make_node("Mul", list(node.input), [scaled]))
        nodes.append(helper.make_node("Max", [node.input[0], scaled], [node.output[0]]))
    del graph.node[:]
    graph.node.extend(nodes)
