"""Recognisers behind one callable: which file a pack uses, how input is scaled, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

import demo
from facedata.errors import ModelError, RequestError
from training.evaluate.embedder import (
    EmbedOptions,
    find_recogniser,
    normalises_itself,
    open_recogniser,
)

PACK = Path(demo.__file__).parent / "pack"


@pytest.fixture(scope="module")
def crops() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)


def test_the_demo_pack_embeds_as_onnxruntime_does(crops: NDArray[np.uint8]) -> None:
    session = onnxruntime.InferenceSession(str(PACK / "rec.onnx"))
    rgb = crops[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    raw = session.run(None, {"data": (rgb - 127.5) / 127.5})[0]

    rows = open_recogniser(PACK)(crops)

    assert rows.dtype == np.float32
    assert np.abs(rows - raw / np.linalg.norm(raw, axis=1, keepdims=True)).max() < 1e-5


def test_batches_and_threads_change_nothing(crops: NDArray[np.uint8]) -> None:
    alone = open_recogniser(PACK)(crops)
    together = open_recogniser(PACK, EmbedOptions(batch=3, threads=2))(crops)
    assert np.abs(alone - together).max() < 1e-5


def test_flip_adds_the_mirrored_crop(crops: NDArray[np.uint8]) -> None:
    flipped = open_recogniser(PACK, EmbedOptions(flip=True))
    assert np.abs(flipped(crops) - flipped(crops[:, :, ::-1])).max() < 1e-5
    plain = open_recogniser(PACK)(crops)
    assert np.abs(flipped(crops) - plain).max() > 1e-3


def write_model(path: Path, names: tuple[str, str], side: int = 112, outputs: int = 1) -> None:
    """A recogniser that takes (x - 127.5) * 0.0078125 itself, with these node names; batch 1."""
    nodes = [
        helper.make_node("Sub", ["data", "mean"], ["centred"], name=names[0]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"], name=names[1]),
        helper.make_node("GlobalAveragePool", ["scaled"], ["pooled"], name="pool"),
        *(
            helper.make_node("Flatten", ["pooled"], [f"out{index}"], name=f"flat{index}")
            for index in range(outputs)
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, side, side])],
        [
            helper.make_tensor_value_info(f"out{index}", TensorProto.FLOAT, [1, 3])
            for index in range(outputs)
        ],
        [
            helper.make_tensor("mean", TensorProto.FLOAT, [], [127.5]),
            helper.make_tensor("scale", TensorProto.FLOAT, [], [0.0078125]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


def test_scaling_inside_the_graph_is_insightface_s_rule(
    tmp_path: Path, crops: NDArray[np.uint8]
) -> None:
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    for names in (("_minusscalar0", "_mulscalar0"), ("Sub_1", "Mul_2"), ("node_0", "node_1")):
        write_model(tmp_path / "rec.onnx", names)
        theirs = ArcFaceONNX(str(tmp_path / "rec.onnx"))
        ours = find_recogniser(tmp_path)
        assert (ours.mean, ours.std) == (theirs.input_mean, theirs.input_std)
        assert normalises_itself(onnx.load(tmp_path / "rec.onnx")) == (ours.mean == 0.0)

    write_model(tmp_path / "rec.onnx", ("Sub_1", "Mul_2"))
    # Its batch is fixed at 1 in the file, and freed here.
    rows = open_recogniser(tmp_path, EmbedOptions(batch=5))(crops)
    means = (crops[..., ::-1].mean(axis=(1, 2)) - 127.5) * 0.0078125
    assert np.abs(rows - means / np.linalg.norm(means, axis=1, keepdims=True)).max() < 1e-3


def test_other_models_of_a_pack_are_passed_over(tmp_path: Path) -> None:
    shutil.copy(PACK / "det.onnx", tmp_path / "a_det.onnx")
    write_model(tmp_path / "b_gender.onnx", ("x", "y"), side=96)
    write_model(tmp_path / "c_landmarks.onnx", ("x", "y"), side=192)
    write_model(tmp_path / "d_more.onnx", ("x", "y"), outputs=5)
    with pytest.raises(ModelError, match="no face recogniser among a_det"):
        find_recogniser(tmp_path)
    write_model(tmp_path / "e_rec.onnx", ("x", "y"))
    assert find_recogniser(tmp_path).path.name == "e_rec.onnx"


def test_a_manifest_says_which_file_and_how_it_is_scaled(tmp_path: Path) -> None:
    write_model(tmp_path / "any.onnx", ("x", "y"))
    task = {"file": "any.onnx", "preprocessing": {"mean": 100.0, "std": 50.0}}
    manifest = {"manifest_version": 2, "tasks": {"recognition": task}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    found = find_recogniser(tmp_path)
    assert (found.path.name, found.mean, found.std) == ("any.onnx", 100.0, 50.0)

    task["preprocessing"] = "embedded"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert (find_recogniser(tmp_path).mean, find_recogniser(tmp_path).std) == (0.0, 1.0)

    del task["file"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=r"manifest\.json does not describe a recogniser"):
        find_recogniser(tmp_path)


def test_bad_packs_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        open_recogniser(tmp_path / "none")
    with pytest.raises(ModelError, match=r"no \.onnx file"):
        open_recogniser(tmp_path)
    (tmp_path / "rec.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="not a readable ONNX file"):
        open_recogniser(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 112, 112, 3), np.float32),
        np.zeros((2, 96, 112, 3), np.uint8),
        np.zeros((112, 112, 3), np.uint8),
        np.zeros((0, 112, 112, 3), np.uint8),
    ],
    ids=["float", "narrow", "single", "none"],
)
def test_other_crops_are_refused(wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(RequestError, match="give aligned faces"):
        open_recogniser(PACK)(wrong)
