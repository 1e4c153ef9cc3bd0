"""A detector and recognisers small enough to reason about, as real ONNX files.

The detector sees a face in every 8×8 cell that is pure red, with a known box and landmarks. Its
outputs come in the layouts that real SCRFD exports have.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from cleaning.faces.pack import ModelPack, load_pack

STRIDES = (8, 16, 32)
CELL = 8
BOX_REACH = 4.0
"""Box distances of the red-cell detector from the anchor centre, in strides, on every side."""
LANDMARKS = np.array(
    [[-1.5, -1.5], [1.5, -1.5], [0.0, 0.0], [-1.2, 1.8], [1.2, 1.8]], dtype=np.float32
)
"""Landmarks of the red-cell detector relative to the anchor centre, in strides."""


def _weight(name: str, values: NDArray[np.float32]) -> onnx.TensorProto:
    return numpy_helper.from_array(values.astype(np.float32), name)


def _head(
    name: str, kernel: NDArray[np.float32], bias: NDArray[np.float32], stride: int, layout: str
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """One output: a strided convolution, flattened as ``layout`` says."""
    width = {"score": 1, "bbox": 4, "kps": 10}[name.split("_")[0]]
    perm, shape = {
        "cells": ([2, 3, 0, 1], [-1, width]),
        "photos": ([0, 2, 3, 1], [-1, width]),
        "batched": ([0, 2, 3, 1], [0, -1, width]),
    }[layout]
    weights = [
        _weight(f"{name}_w", kernel),
        _weight(f"{name}_b", bias),
        numpy_helper.from_array(np.array(shape, dtype=np.int64), f"{name}_shape"),
    ]
    nodes = [
        helper.make_node(
            "Conv", ["image", f"{name}_w", f"{name}_b"], [f"{name}_map"], strides=[stride, stride]
        ),
        helper.make_node("Transpose", [f"{name}_map"], [f"{name}_t"], perm=perm),
        helper.make_node("Reshape", [f"{name}_t", f"{name}_shape"], [f"{name}_flat"]),
    ]
    last = "Sigmoid" if name.startswith("score") else "Identity"
    nodes.append(helper.make_node(last, [f"{name}_flat"], [name]))
    return nodes, weights


def _red_cell_kernels(stride: int) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Kernels of both anchors: only the first of stride 8 ever fires, on red and not green."""
    score = np.zeros((2, 3, stride, stride), dtype=np.float32)
    if stride == CELL:
        score[0, 0], score[0, 1] = 1.0, -1.0
    score *= 16.0 / stride**2
    none = np.zeros((20, 3, stride, stride), dtype=np.float32)
    # Red scores sigmoid(16 · 255/128 − 29): just under 0.95.
    return {
        "score": (score, np.array([-29.0, -29.0], dtype=np.float32)),
        "bbox": (none[:8], np.full(8, BOX_REACH, dtype=np.float32)),
        "kps": (none, np.tile(LANDMARKS.reshape(-1), 2)),
    }


def _random_kernels(stride: int) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    rng = np.random.default_rng(stride)
    kernels = {}
    for name, channels in (("score", 2), ("bbox", 8), ("kps", 20)):
        kernel = rng.normal(0, 1.5 / stride, (channels, 3, stride, stride)).astype(np.float32)
        kernels[name] = (kernel, rng.normal(0.5, 0.5, channels).astype(np.float32))
    return kernels


def write_detector(
    path: Path,
    *,
    layout: str = "cells",
    random: bool = False,
    fixed: int | None = None,
    landmarks: bool = True,
    det_size: int | None = None,
) -> Path:
    """Write a detector in SCRFD format; ``layout`` is cells, photos or batched."""
    nodes, weights, names = [], [], []
    for kind in ("score", "bbox", "kps") if landmarks else ("score", "bbox"):
        for stride in STRIDES:
            kernels = (_random_kernels if random else _red_cell_kernels)(stride)[kind]
            new_nodes, new_weights = _head(f"{kind}_{stride}", *kernels, stride, layout)
            nodes, weights = nodes + new_nodes, weights + new_weights
            names.append(f"{kind}_{stride}")
    rank = 3 if layout == "batched" else 2
    side = fixed or "?"
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * rank) for n in names],
        weights,
    )
    _save(graph, path, {} if det_size is None else {"det_size": str(det_size)})
    return path


def write_recogniser(path: Path, *, per_batch: bool = False, node_prefix: str = "") -> Path:
    """Write a 112-pixel recogniser of 16 dimensions: 8×8 means, PRelu, one matrix.

    ``per_batch`` scales by the largest value of the whole batch, as int8 exports do;
    ``node_prefix`` names the nodes Sub and Mul, as exports with their own scaling do.
    """
    rng = np.random.default_rng(3)
    weights = [
        _weight("slope", np.linspace(-0.5, 0.9, 3).reshape(3, 1, 1)),
        _weight("matrix", rng.normal(size=(3 * 14 * 14, 16))),
        _weight("half", np.array(0.5)),
    ]
    nodes = [
        helper.make_node("AveragePool", ["x"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("PRelu", ["pooled", "slope"], ["bent"]),
        helper.make_node("Flatten", ["bent"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["y" if not per_batch else "raw"]),
    ]
    if per_batch:
        nodes += [
            helper.make_node("ReduceMax", ["raw"], ["top"], keepdims=0),
            helper.make_node("Sub", ["raw", "top"], ["y"]),
        ]
    if node_prefix:
        nodes[0].name, nodes[1].name = "Sub_0", "Mul_0"
    graph = helper.make_graph(
        nodes,
        "recogniser",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16])],
        weights,
    )
    _save(graph, path, {})
    return path


def _save(graph: onnx.GraphProto, path: Path, metadata: dict[str, str]) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


@pytest.fixture(scope="session")
def detector_file() -> Callable[..., Path]:
    return write_detector


@pytest.fixture(scope="session")
def recogniser_file() -> Callable[..., Path]:
    return write_recogniser


@pytest.fixture(scope="session")
def red_pack(tmp_path_factory: pytest.TempPathFactory) -> ModelPack:
    """A pack whose detector finds pure red 8×8 cells."""
    folder = tmp_path_factory.mktemp("red")
    write_detector(folder / "det.onnx")
    write_recogniser(folder / "rec.onnx")
    return load_pack(folder)


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Encode an array or a Pillow image with Pillow."""

    def run(
        image: NDArray[np.generic] | Image.Image, kind: str = "PNG", **options: object
    ) -> bytes:
        stream = io.BytesIO()
        picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
        picture.save(stream, kind, **options)
        return stream.getvalue()

    return run


@pytest.fixture(scope="session")
def red_photo() -> Callable[..., NDArray[np.uint8]]:
    """A grey photo with red cells at the given (column, row) cells of 8 pixels."""

    def run(width: int, height: int, *cells: tuple[int, int]) -> NDArray[np.uint8]:
        rng = np.random.default_rng(width * 1000 + height)
        grey = rng.integers(90, 160, (height, width, 1), dtype=np.uint8)
        photo = np.repeat(grey, 3, axis=2)
        for column, row in cells:
            photo[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = (255, 0, 0)
        return photo

    return run
