from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cleaning.faces.batches import BatchLayout, find_layout, split_batch
from cleaning.faces.network import open_network
from facedata.errors import ModelError

CPU = ["CPUExecutionProvider"]
LAYOUTS = {
    "cells": BatchLayout.CELL_BY_CELL,
    "photos": BatchLayout.PHOTO_BY_PHOTO,
    "batched": BatchLayout.PHOTO_BY_PHOTO,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_of_any_layout_gives_each_photo_its_own_rows(
    layout: str, detector_file: Callable[..., Path], tmp_path: Path
) -> None:
    network = open_network(detector_file(tmp_path / "d.onnx", layout=layout, random=True), CPU)
    found = find_layout(network.run, (64, 64), 2)
    assert found is LAYOUTS[layout]
    blob = np.random.default_rng(5).normal(size=(7, 3, 64, 96)).astype(np.float32)
    together = split_batch(network.run(blob), 7, 2, found)
    for index, own in enumerate(together):
        alone = split_batch(network.run(blob[index : index + 1]), 1, 2, BatchLayout.PHOTO_BY_PHOTO)
        for row, expected in zip(own, alone[0], strict=True):
            assert row.shape == expected.shape
            assert np.allclose(row, expected, atol=1e-4)


def test_the_wrong_layout_gives_other_rows(
    detector_file: Callable[..., Path], tmp_path: Path
) -> None:
    network = open_network(detector_file(tmp_path / "d.onnx", layout="cells", random=True), CPU)
    blob = np.random.default_rng(5).normal(size=(2, 3, 64, 64)).astype(np.float32)
    wrong = split_batch(network.run(blob), 2, 2, BatchLayout.PHOTO_BY_PHOTO)
    alone = network.run(blob[:1])
    assert not np.allclose(wrong[0][0], alone[0], atol=1e-2)


def one_score(blob: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [blob.mean(axis=(1, 2, 3)).reshape(-1, 1)]


def test_a_network_that_refuses_batches() -> None:
    def run(blob: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        if len(blob) > 1:
            raise ModelError("takes one photo")
        return one_score(blob)

    assert find_layout(run, (32, 32), 1) is BatchLayout.UNSUPPORTED


def test_a_network_that_answers_for_the_first_photo_only() -> None:
    assert find_layout(lambda blob: one_score(blob[:1]), (32, 32), 1) is BatchLayout.UNSUPPORTED


def test_answers_too_alike_to_tell_the_layout() -> None:
    def run(blob: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return [np.zeros((len(blob) * 8, 4), dtype=np.float32)]

    assert find_layout(run, (32, 32), 2) is BatchLayout.UNSUPPORTED


def test_a_network_that_mixes_the_photos() -> None:
    def run(blob: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return [scores + blob.std() * 10 * len(blob) for scores in one_score(blob)]

    assert find_layout(run, (32, 32), 1) is BatchLayout.UNSUPPORTED
