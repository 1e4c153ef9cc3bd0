"""The detector's targets: every face has an anchor, of its own size class, and exact distances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.demo_pack.detector import Detector, Exported
from training.demo_pack.targets import assign, detection_loss, make_batch, make_grid

GRID = make_grid(256)


def face(x: float, y: float, width: float) -> np.ndarray:
    height = 1.2 * width
    marks = [x - 0.2 * width, y, x + 0.2 * width, y, x, y + 9, x - 8, y + 20, x + 8, y + 20]
    box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return np.array([[*box, *marks]], dtype=np.float32)


@given(x=st.floats(30, 225), y=st.floats(30, 225), width=st.floats(20, 210))
def test_every_face_has_an_anchor_of_one_size_class(x: float, y: float, width: float) -> None:
    owner, ignore = assign(face(x, y, width), GRID)
    chosen = owner == 0
    assert chosen.any()
    assert len(set(GRID.slot[chosen])) == 1
    assert not (chosen & ignore).any()


def test_targets_decode_to_the_face() -> None:
    rows = face(100, 90, 60)
    batch = make_batch([rows], GRID)
    centre, stride = (
        torch.from_numpy(part)[batch.positive[0]] for part in (GRID.centre, GRID.stride)
    )
    left_top = centre - batch.boxes[:, :2] * stride[:, None]
    assert torch.allclose(left_top, torch.tensor([70.0, 54.0]).expand_as(left_top), atol=1e-3)
    marks = batch.landmarks * stride[:, None] + centre.repeat(1, 5)
    assert torch.allclose(marks, torch.from_numpy(rows[:, 4:]).expand_as(marks), atol=1e-3)


def test_a_picture_without_faces_has_a_finite_loss() -> None:
    batch = make_batch([np.zeros((0, 14), dtype=np.float32)], GRID)
    loss, parts = detection_loss(Detector()(torch.zeros(1, 3, 256, 256)), batch)
    assert torch.isfinite(loss)
    assert parts["box"] == parts["landmark"] == 0


def test_perfect_outputs_have_no_box_or_landmark_loss() -> None:
    batch = make_batch([face(128, 128, 100)], GRID)
    count = len(GRID.slot)
    scores = torch.where(batch.positive, 20.0, -20.0)[..., None]
    boxes, marks = torch.ones(1, count, 4), torch.zeros(1, count, 10)
    boxes[batch.positive], marks[batch.positive] = batch.boxes, batch.landmarks
    loss, _ = detection_loss(([scores], [boxes], [marks]), batch)
    assert loss.item() == pytest.approx(0, abs=1e-5)


def test_the_export_is_flat_and_ordered() -> None:
    outputs = Exported(Detector().eval())(torch.zeros(1, 3, 64, 96))
    cells = [2 * (64 // stride) * (96 // stride) for stride in (8, 16, 32)]
    expected = [(n, width) for width in (1, 4, 10) for n in cells]
    assert [tuple(output.shape) for output in outputs] == expected
