"""The demo's model pack: insightface loads it as it is, and it knows people it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import demo
from benchmarks.demo_pack import PackFigures, measure, true_accept_rate

PACK = Path(demo.__file__).parent / "pack"


@pytest.fixture(scope="module")
def figures() -> PackFigures:
    """300 photos of 60 people whose seeds training did not use, through insightface."""
    return measure(PACK, people=60, photos_per_person=5, seed=0)


def test_faces_are_found(figures: PackFigures) -> None:
    assert figures.found >= 0.995


def test_nothing_else_is_taken_for_a_face(figures: PackFigures) -> None:
    assert figures.false_per_50 <= 1


def test_people_are_told_apart_through_the_pack_s_own_detector(figures: PackFigures) -> None:
    assert figures.tar >= 0.95


def test_the_pack_is_small() -> None:
    assert sum(path.stat().st_size for path in PACK.glob("*.onnx")) <= 5_000_000


def test_embeddings_do_not_depend_on_the_batch() -> None:
    session = onnxruntime.InferenceSession(str(PACK / "rec.onnx"))
    faces = np.random.default_rng(0).uniform(-1, 1, (64, 3, 112, 112)).astype(np.float32)
    name = session.get_inputs()[0].name
    together = session.run(None, {name: faces})[0]
    alone = np.concatenate([session.run(None, {name: faces[i : i + 1]})[0] for i in range(64)])
    assert together.shape == (64, 128)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (together, alone)]
    assert np.abs(unit[0] - unit[1]).max() < 1e-4


def test_the_detector_has_scrfd_s_form() -> None:
    model = onnx.load(PACK / "det.onnx")
    names = [output.name for output in model.graph.output]
    assert names == [
        f"{kind}_{stride}" for kind in ("score", "bbox", "kps") for stride in (8, 16, 32)
    ]
    assert {len(output.type.tensor_type.shape.dim) for output in model.graph.output} == {2}
    assert {entry.key: entry.value for entry in model.metadata_props} == {"det_size": "320"}


@pytest.mark.parametrize("size", [(320, 320), (640, 640), (160, 224)])
def test_the_detector_takes_any_size(size: tuple[int, int]) -> None:
    session = onnxruntime.InferenceSession(str(PACK / "det.onnx"))
    blank = np.zeros((1, 3, *size), dtype=np.float32)
    outputs = session.run(None, {session.get_inputs()[0].name: blank})
    for level, stride in enumerate((8, 16, 32)):
        cells = 2 * (size[0] // stride) * (size[1] // stride)
        shapes = [outputs[level + 3 * kind].shape for kind in range(3)]
        assert shapes == [(cells, 1), (cells, 4), (cells, 10)]


def test_accept_rate_of_a_known_table() -> None:
    """Two people in two dimensions, far apart: everything is told apart."""
    rows = np.array([[1, 0], [0.9998, 0.02], [0, 1], [0.02, 0.9998]], dtype=np.float32)
    tar, threshold, (same, different) = true_accept_rate(rows, np.array([0, 0, 1, 1]))
    assert tar == 1.0
    assert threshold < 0.05 < same
    assert different < 0.05
