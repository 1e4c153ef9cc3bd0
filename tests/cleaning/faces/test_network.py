from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from cleaning.faces.network import choose_providers, file_digest, open_network, read_graph
from facedata.errors import ModelError

CPU = ["CPUExecutionProvider"]


def prelu_file(path: Path, slopes: list[float]) -> Path:
    slope = numpy_helper.from_array(np.array(slopes, dtype=np.float32).reshape(-1, 1, 1), "slope")
    shape = ["n", len(slopes), 4, 4]
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["x", "slope"], ["y"])],
        "prelu",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [slope],
    )
    opsets = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


@pytest.mark.parametrize("slopes", [[-2.0, -0.3, 0.0], [0.25, 0.999, 1.0], [0.5, 1.5, 3.0]])
def test_replacing_prelu_changes_no_bit(slopes: list[float], tmp_path: Path) -> None:
    path = prelu_file(tmp_path / "prelu.onnx", slopes)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    plain = onnxruntime.InferenceSession(str(path), providers=CPU).run(None, {"x": x})[0]
    assert np.array_equal(open_network(path, CPU).run(x)[0], plain)


def test_a_fixed_batch_of_one_is_opened(
    recogniser_file: Callable[..., Path], tmp_path: Path
) -> None:
    network = open_network(recogniser_file(tmp_path / "rec.onnx"), CPU)
    x = np.random.default_rng(0).normal(size=(5, 3, 112, 112)).astype(np.float32)
    together = network.run(x)[0]
    assert together.shape == (5, 16)
    alone = np.concatenate([network.run(x[i : i + 1])[0] for i in range(5)])
    assert np.allclose(together, alone, atol=1e-4)


def test_digest_is_the_file_s(recogniser_file: Callable[..., Path], tmp_path: Path) -> None:
    path = recogniser_file(tmp_path / "rec.onnx")
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert file_digest(path) == expected
    assert open_network(path, CPU).digest == expected


def test_the_cpu_is_always_among_the_providers() -> None:
    assert choose_providers()[-1] == "CPUExecutionProvider"


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1", b"\x08"])
def test_a_broken_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.onnx: .*fetch it again"):
        read_graph(path)


def test_a_file_cut_short_is_named(recogniser_file: Callable[..., Path], tmp_path: Path) -> None:
    path = recogniser_file(tmp_path / "rec.onnx")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"rec\.onnx: .*fetch it again"):
        open_network(path, CPU)


def test_an_unknown_operator_is_one_line(tmp_path: Path) -> None:
    path = prelu_file(tmp_path / "odd.onnx", [0.5])
    model = onnx.load(str(path))
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"odd\.onnx: onnxruntime cannot load it") as caught:
        open_network(path, CPU)
    assert "\n" not in str(caught.value)


def test_a_wrong_input_shape_is_one_line(
    recogniser_file: Callable[..., Path], tmp_path: Path
) -> None:
    network = open_network(recogniser_file(tmp_path / "rec.onnx"), CPU)
    with pytest.raises(ModelError, match=r"\(1, 1, 112, 112\)") as caught:
        network.run(np.zeros((1, 1, 112, 112), dtype=np.float32))
    assert "\n" not in str(caught.value)
