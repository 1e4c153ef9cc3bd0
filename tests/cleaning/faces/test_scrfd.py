from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from insightface.model_zoo.scrfd import SCRFD
from numpy.typing import NDArray

from cleaning.faces.scrfd import Detections, Head, decode_outputs, suppress

HEAD = Head(strides=(8, 16), anchors=2)


def empty_outputs(width: int, height: int) -> list[NDArray[np.float32]]:
    rows = [2 * (width // s) * (height // s) for s in HEAD.strides]
    return [np.zeros((n, k), dtype=np.float32) for k in (1, 4, 10) for n in rows]


def test_an_anchor_is_decoded_in_strides_from_its_cell() -> None:
    outputs = empty_outputs(64, 32)
    # Stride 16, row 1, column 2 (of 4), second anchor: centre (32, 16).
    row = (1 * 4 + 2) * 2 + 1
    outputs[1][row] = 0.75
    outputs[3][row] = [1.0, 0.5, 2.0, 0.25]
    outputs[5][row] = np.arange(10) / 10
    found = decode_outputs(outputs, (64, 32), HEAD, 0.5)
    assert found.scores.tolist() == [0.75]
    assert found.boxes.tolist() == [[16.0, 8.0, 64.0, 20.0]]
    expected = np.array([32.0, 16.0]) + np.arange(10).reshape(5, 2) * 1.6
    assert np.allclose(found.landmarks[0], expected)


def test_min_score_is_inclusive() -> None:
    outputs = empty_outputs(64, 32)
    outputs[0][0], outputs[0][40] = 0.5, 0.499
    assert len(decode_outputs(outputs, (64, 32), HEAD, 0.5)) == 1


def test_nothing_found() -> None:
    found = decode_outputs(empty_outputs(64, 32), (64, 32), HEAD, 0.5)
    assert (found.scores.shape, found.boxes.shape) == ((0,), (0, 4))
    assert found.landmarks.shape == (0, 5, 2)


def test_placed_undoes_margin_then_scale() -> None:
    faces = Detections(
        scores=np.ones(1, dtype=np.float32),
        boxes=np.array([[10, 20, 30, 40]], dtype=np.float32),
        landmarks=np.full((1, 5, 2), 8.0, dtype=np.float32),
    )
    placed = faces.placed(0.5, 3)
    assert placed.boxes.tolist() == [[14.0, 34.0, 54.0, 74.0]]
    assert placed.landmarks[0, 0].tolist() == [10.0, 10.0]


@given(
    corners=hnp.arrays(
        np.int32, st.tuples(st.integers(0, 25), st.just(4)), elements=st.integers(0, 60)
    ),
    scores=st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.8]), min_size=25, max_size=25),
)
def test_suppression_keeps_the_faces_that_insightface_keeps(
    corners: NDArray[np.int32], scores: list[float]
) -> None:
    low = np.minimum(corners[:, :2], corners[:, 2:])
    high = np.maximum(corners[:, :2], corners[:, 2:]) + 1
    boxes = np.hstack([low, high]).astype(np.float32)
    values = np.array(scores[: len(boxes)], dtype=np.float32)
    marks = np.arange(len(boxes), dtype=np.float32)[:, None, None] * np.ones((1, 5, 2), np.float32)
    kept = suppress(Detections(scores=values, boxes=boxes, landmarks=marks))

    peer = SCRFD.__new__(SCRFD)
    peer.nms_thresh = 0.4
    expected = peer.nms(np.hstack([boxes, values[:, None]]).astype(np.float64))
    assert kept.landmarks[:, 0, 0].astype(int).tolist() == [int(index) for index in expected]
    assert (np.diff(kept.scores) <= 0).all()
